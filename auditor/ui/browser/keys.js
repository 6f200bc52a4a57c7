// What a key means: what is printed on it, and where the layout has other letters there (Cyrillic) or shifts the digits
// (AZERTY), what a common keyboard has in its place.

export const PLACES = ["1", "2", "3", "4", "5"];
const LETTERS = ["a", "s", "d", "f", "v"];
const NUMBER = /^[+-]?\d+([.,]\d+)?$/;
// Keys of the card itself; Streamlit takes r and c.
export const COMMANDS = "gbnuxzhpwmtkl/+-=";
const TAKEN = `${COMMANDS}rc `;
const FREE = [...PLACES, "6", "7", "8", "9", "0", ...LETTERS, "q", "e", "i", "j", "o", "y"];

// The keys of the candidates. A digit must never mean the second candidate where a class is called 2:
// classes that are single digits are chosen by their own, and among other numbers the candidates have letters.
export function candidateKeys(classes) {
  if (!classes.some((name) => NUMBER.test(name))) return { byName: false, keys: PLACES };
  return classes.every((name) => /^\d$/.test(name)) ? { byName: true, keys: [] } : { byName: false, keys: LETTERS };
}

// Why a class cannot have a key, in words; undefined where it can.
export function refused(key, name, classes) {
  if ([...key].length !== 1) return "one letter, digit or sign";
  if (TAKEN.includes(key.toLowerCase())) return `${key} has another meaning`;
  if (classes.includes(key) && key !== name) return `${key} is the name of another class`;
  return undefined;
}

// One key for each class, as far as they go: those of one's own, the digits that are names, then what is free.
export function classKeys(classes, own = {}) {
  const keys = new Map();
  const taken = new Set();
  const give = (name, key) => {
    if (key === undefined || keys.has(name) || taken.has(key) || refused(key, name, classes)) return;
    keys.set(name, key);
    taken.add(key);
  };
  for (const name of classes) give(name, Object.hasOwn(own, name) ? own[name].toLowerCase() : undefined); // a class may be called "constructor"
  for (const name of classes) if (/^\d$/.test(name)) give(name, name);
  const numbers = classes.some((name) => NUMBER.test(name));
  const free = FREE.filter((key) => !taken.has(key) && !(numbers && /\d/.test(key)));
  for (const name of classes) if (!keys.has(name) && free.length) give(name, free.shift());
  return new Map(classes.filter((name) => keys.has(name)).map((name) => [name, keys.get(name)]));
}

export function meaning(event, known) {
  if (!event.key) return ""; // no key at all: what a browser fills in by itself
  const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (known.has(name) || /^[a-z0-9]$/.test(name) || event.shiftKey) return name;
  const [, letter, digit] = /^(?:Key([A-Z])|(?:Digit|Numpad)(\d))$/.exec(event.code ?? "") ?? [];
  const there = letter?.toLowerCase() ?? digit ?? (event.code === "Slash" ? "/" : undefined);
  return known.has(there) ? there : name;
}
