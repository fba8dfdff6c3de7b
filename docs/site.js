// A line may break here in inline code: after a space, a comma or a bar, between long parts of paths and names, but not before the ending
// of a file or at the hyphens of an option or a short name.
const SEPARATORS = /(?<=[\s|])|(?<=,)(?=\S)|(?<=\w{3}[/_])(?=\w{3})|(?<=\w\.)(?=\w{7})|(?<=\w=)(?=\S{8})/
const LONGEST = 24

function soften(text) {
  const parts = text.data.split(SEPARATORS).map(part => {
    if (!part.includes("-") || part.length > LONGEST) return document.createTextNode(part)
    const whole = document.createElement("span")
    whole.className = "whole"
    whole.textContent = part
    return whole
  })
  text.replaceWith(...parts.flatMap((part, i) => i ? [document.createElement("wbr"), part] : [part]))
}

window.addEventListener("load", () => {
  for (const code of document.querySelectorAll(".md-typeset :not(pre) > code, .md-typeset .doc-object-name")) {
    const walker = document.createTreeWalker(code, NodeFilter.SHOW_TEXT)
    const texts = []
    while (walker.nextNode()) texts.push(walker.currentNode)
    texts.forEach(soften)
  }
  // For screen readers and keyboards: name the theme's search dialog, and let wide tables take the focus and scroll.
  document.querySelector(".md-search[role=dialog]")?.setAttribute("aria-label", "Search")
  for (const table of document.querySelectorAll(".md-typeset__scrollwrap")) table.tabIndex = 0
})
