"use strict";

/* What the scripts in data/ and full/ assign: the site, its samples, and the layers of the samples that were opened. */
const mhp = {
  site: null,
  samples: null,
  known: new Map(),
  waiting: new Map(),

  /* Called by full/.../layers.js with the sample's key, "split number/index". */
  layers(key, value) {
    mhp.known.set(key, value);
    const resolve = mhp.waiting.get(key);
    mhp.waiting.delete(key);
    if (resolve) resolve(value);
  },

  /* Returns a promise of the layers of a sample: a script, because a page opened from disk may not fetch files. */
  load(key, path) {
    if (mhp.known.has(key)) return Promise.resolve(mhp.known.get(key));
    return new Promise((resolve, reject) => {
      mhp.waiting.set(key, resolve);
      const script = document.createElement("script");
      script.src = path;
      script.onload = () => script.remove();
      script.onerror = () => reject(new Error(path));
      document.head.append(script);
    });
  },
};

/* Returns an element with properties and children; text becomes a text node, never HTML. */
function make(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key.includes("-") || key === "role" || key === "for") element.setAttribute(key, value);
    else element[key] = value;
  }
  element.append(...children);
  return element;
}

const byId = (id) => document.getElementById(id);
const grouped = (number) => number.toLocaleString("en-US");
