// What a key means: what is printed on it, and where the layout has other letters there (Cyrillic) or shifts the digits
// (AZERTY), what a common keyboard has in its place.

export const PLACES = ["1", "2", "3", "4", "5"];
const LETTERS = ["a", "s", "d", "f", "v"];
const NUMBER = /^[+-]?\d+([.,]\d+)?$/;

// The keys of the candidates. A digit must never mean the second candidate where a class is called 2:
// classes that are single digits are chosen by their own, and among other numbers the candidates have letters.
export function candidateKeys(classes) {
  if (!classes.some((name) => NUMBER.test(name))) return { byName: false, keys: PLACES };
  return classes.every((name) => /^\d$/.test(name)) ? { byName: true, keys: [] } : { byName: false, keys: LETTERS };
}

export function meaning(event, known) {
  const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (known.has(name) || /^[a-z0-9]$/.test(name) || event.shiftKey) return name;
  const [, letter, digit] = /^(?:Key([A-Z])|(?:Digit|Numpad)(\d))$/.exec(event.code ?? "") ?? [];
  const there = letter?.toLowerCase() ?? digit ?? (event.code === "Slash" ? "/" : undefined);
  return known.has(there) ? there : name;
}
