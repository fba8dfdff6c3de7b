// For screen readers and keyboards: name the theme's search dialog, and let wide tables take the focus and scroll.
window.addEventListener("load", () => {
  document.querySelector(".md-search[role=dialog]")?.setAttribute("aria-label", "Search")
  for (const table of document.querySelectorAll(".md-typeset__scrollwrap")) table.tabIndex = 0
})
