"use strict";

/* Filters and orders, as pure functions of the columns: 25,000 samples take a few milliseconds. */
const GRAY = 1, LABELLED = 2, FULL = 4, WORD = 30, UNKNOWN = -1;

/* The numbers that can be filtered and sorted by; an unknown value is -1, fails every filter and is sorted last. */
function measures(site, columns) {
  const count = columns.name.length;
  const derived = (value) => Int32Array.from({ length: count }, (_, i) => value(i));
  const models = site.models.map((model, k) => ({ model, iou: columns[`iou${k + 1}`], acc: columns[`acc${k + 1}`] }));
  const found = [
    { key: "persons", title: "Persons", values: columns.persons },
    { key: "side", title: "Short side, px", values: derived((i) => Math.min(columns.height[i], columns.width[i])) },
    { key: "area", title: "Pixels, thousands", scale: 1000, values: derived((i) => columns.height[i] * columns.width[i]) },
    { key: "tallest", title: "Tallest person, px", values: columns.tallest },
    { key: "overlapping", title: "Overlapping px", values: columns.contested },
    { key: "conflicting", title: "Conflicting px", values: columns.conflicting },
    { key: "classes", title: "Number of classes", values: derived((i) => classesOf(site, columns, i).length) },
  ];
  if (site.rule) found.push({ key: "rules", title: `px that rule ${site.rule} changes`, values: columns.rules });
  if (site.other) found.push({ key: "changed", title: `px that differ from ${site.other}`, values: columns.changed });
  models.forEach(({ model, iou, acc }, k) => {
    found.push({ key: `iou${k + 1}`, title: `Mean IoU, %: ${model}`, scale: 100, values: iou });
    found.push({ key: `acc${k + 1}`, title: `pixAcc, %: ${model}`, scale: 100, values: acc });
  });
  if (models.length === 2) {
    const [a, b] = models;
    const least = (i) => (a.iou[i] < 0 || b.iou[i] < 0 ? UNKNOWN : Math.abs(a.iou[i] - b.iou[i]));
    found.push({ key: "gap", title: "Difference of mean IoU, %", scale: 100, values: derived(least) });
  }
  return found;
}

function hasClass(columns, sample, label) {
  return ((columns[`classes${Math.floor(label / WORD)}`][sample] >> label % WORD) & 1) === 1;
}

function classesOf(site, columns, sample) {
  return site.classes.flatMap((_, label) => (hasClass(columns, sample, label) ? [label] : []));
}

/* Returns, per group of identical images, whether several splits share it. */
function sharedGroups(columns) {
  const first = new Map(), shared = new Set();
  columns.copies.forEach((group, i) => {
    if (!group) return;
    if (!first.has(group)) first.set(group, columns.split[i]);
    else if (first.get(group) !== columns.split[i]) shared.add(group);
  });
  return shared;
}

const CHOICES = [
  { key: "gray", title: "Colour", options: [["", "any"], ["gray", "gray"], ["colour", "in colour"]] },
  {
    key: "copies",
    title: "Duplicates",
    options: [["", "any"], ["copies", "with a copy"], ["shared", "with a copy in another split"], ["unique", "without"]],
  },
  { key: "view", title: "Show", options: [["", "all"], ["full", "full size only"], ["chosen", "selected only"]] },
];

const EMPTY = () => ({ q: "", split: [], with: [], without: [], ranges: {}, gray: "", copies: "", view: "", sort: "", desc: false });

/* Reads the state of the filters from the part of the address after #. */
function readState(parameters, site, known) {
  const state = EMPTY();
  const listed = (key, allowed) => parameters.getAll(key).filter((one) => allowed.includes(one));
  const names = site.classes.map((one) => one.name);
  state.q = parameters.get("q") || "";
  state.split = listed("split", site.splits);
  state.with = listed("with", names);
  state.without = listed("without", names);
  for (const { key, options } of CHOICES) {
    const value = parameters.get(key) || "";
    if (options.some(([one]) => one === value)) state[key] = value;
  }
  for (const { key } of known) {
    const match = /^(-?[\d.]*)~(-?[\d.]*)$/.exec(parameters.get(key) || "");
    if (match) state.ranges[key] = [match[1], match[2]];
  }
  const sort = parameters.get("sort") || "";
  if (sort === "name" || known.some(({ key }) => key === sort)) state.sort = sort;
  state.desc = parameters.get("desc") === "1";
  return state;
}

function writeState(state, parameters) {
  if (state.q) parameters.set("q", state.q);
  for (const key of ["split", "with", "without"]) for (const one of state[key]) parameters.append(key, one);
  for (const { key } of CHOICES) if (state[key]) parameters.set(key, state[key]);
  for (const [key, [low, high]] of Object.entries(state.ranges)) if (low || high) parameters.set(key, `${low}~${high}`);
  if (state.sort) parameters.set("sort", state.sort);
  if (state.desc) parameters.set("desc", "1");
}

function countActive(state) {
  const ranges = Object.values(state.ranges).filter(([low, high]) => low || high).length;
  const choices = CHOICES.filter(({ key }) => state[key]).length;
  return ranges + choices + state.split.length + state.with.length + state.without.length + (state.q ? 1 : 0);
}

/* Returns the samples that pass, in order. */
function choose(state, site, columns, known, chosen, shared) {
  const tests = [];
  const { flags, copies, split, name } = columns;
  if (state.q) {
    const wanted = state.q.toLowerCase();
    tests.push((i) => name[i].toLowerCase().includes(wanted));
  }
  if (state.split.length) {
    const wanted = site.splits.map((one) => state.split.includes(one));
    tests.push((i) => wanted[split[i]]);
  }
  site.classes.forEach((one, label) => {
    if (state.with.includes(one.name)) tests.push((i) => hasClass(columns, i, label));
    if (state.without.includes(one.name)) tests.push((i) => !hasClass(columns, i, label));
  });
  for (const { key, values, scale = 1 } of known) {
    const [low, high] = state.ranges[key] || ["", ""];
    if (low) tests.push((i) => values[i] !== UNKNOWN && values[i] >= low * scale);
    if (high) tests.push((i) => values[i] !== UNKNOWN && values[i] <= high * scale);
  }
  if (state.gray) tests.push((i) => Boolean(flags[i] & GRAY) === (state.gray === "gray"));
  if (state.copies === "copies") tests.push((i) => copies[i] > 0);
  if (state.copies === "shared") tests.push((i) => shared.has(copies[i]));
  if (state.copies === "unique") tests.push((i) => copies[i] === 0);
  if (state.view === "full") tests.push((i) => (flags[i] & FULL) !== 0);
  if (state.view === "chosen") tests.push((i) => chosen.has(i));
  const found = [];
  for (let i = 0; i < name.length; i++) if (tests.every((test) => test(i))) found.push(i);
  return ordered(found, state, columns, known);
}

/* Returns the place of each name in the order in which 9 comes before 10; a collator takes three times as long. */
function nameRanks(columns) {
  if (!columns.ranks) {
    const keys = columns.name.map((name) => name.replace(/\d+/g, (digits) => digits.padStart(12, "0")));
    const order = keys.map((_, i) => i).sort((a, b) => (keys[a] < keys[b] ? -1 : keys[a] > keys[b] ? 1 : a - b));
    columns.ranks = new Int32Array(order.length);
    order.forEach((i, rank) => { columns.ranks[i] = rank; });
  }
  return columns.ranks;
}

function ordered(found, state, columns, known) {
  const sign = state.desc ? -1 : 1;
  if (state.sort === "name") {
    const ranks = nameRanks(columns);
    return found.sort((a, b) => sign * (ranks[a] - ranks[b]));
  }
  const measure = known.find(({ key }) => key === state.sort);
  if (!measure) return state.desc ? found.reverse() : found;
  const { values } = measure;
  const late = (i) => (values[i] === UNKNOWN ? 1 : 0);
  return found.sort((a, b) => late(a) - late(b) || sign * (values[a] - values[b]) || a - b);
}
