// Colours of points: as light or dark as is needed to be told from the page (3 to 1), in hues far from each other.

const linear = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
const companded = (v) => (v <= 0.0031308 ? 12.92 * v : 1.055 * v ** (1 / 2.4) - 0.055);

// OKLCH (Ottosson 2020) as [r, g, b] of 0 to 255; less colourful where the screen has no such colour.
export function oklch(lightness, chroma, hue) {
  const angle = (hue * Math.PI) / 180;
  for (let c = chroma; ; c -= 0.01) {
    const a = c * Math.cos(angle), b = c * Math.sin(angle);
    const [l, m, s] = [lightness + 0.3963377774 * a + 0.2158037573 * b, lightness - 0.1055613458 * a - 0.0638541728 * b,
      lightness - 0.0894841775 * a - 1.291485548 * b].map((v) => v ** 3);
    const rgb = [4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s, -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
      -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s];
    if (c <= 0 || rgb.every((v) => v >= -0.0005 && v <= 1.0005)) return rgb.map((v) => Math.round(255 * companded(Math.min(Math.max(v, 0), 1))));
  }
}

export const luminance = ([r, g, b]) => 0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255);

// Of WCAG: 1 to 21.
export function contrast(a, b) {
  const [dark, light] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (light + 0.05) / (dark + 0.05);
}

const GOLDEN = 137.508; // degrees: each hue is far from those before
const LEVELS = { light: [0.58, 0.46, 0.63], dark: [0.74, 0.6, 0.84] };

// One colour a class. Above a dozen they are told apart by choosing one in the legend.
export function categories(n, dark) {
  const levels = LEVELS[dark ? "dark" : "light"];
  return Array.from({ length: n }, (_, k) => oklch(levels[n > 6 ? k % 3 : 0], 0.17, 25 + (n > 6 ? k * GOLDEN : (k * 360) / n)));
}

// 256 colours from quiet to loud.
export function ramp(dark) {
  const [from, to] = dark ? [[0.5, 0.03, 250], [0.85, 0.17, 85]] : [[0.66, 0.03, 250], [0.42, 0.2, 25]];
  return Array.from({ length: 256 }, (_, k) => oklch(...from.map((v, i) => v + ((to[i] - v) * k) / 255)));
}

// By the number of a kind of verdict, as the server counts them: a colour has one meaning, in light and dark.
const MEANINGS = [[0.03, 250, 2], [0.12, 250, 0], [0.17, 150, 0], [0.16, 50, 0], [0.16, 300, 0], [0.17, 350, 1], [0.15, 90, 2], [0.04, 60, 1], [0.18, 200, 1]];
export const meanings = (dark) => MEANINGS.map(([chroma, hue, level]) => oklch(LEVELS[dark ? "dark" : "light"][level], chroma, hue));

export const quiet = (dark) => oklch(dark ? 0.52 : 0.64, 0.01, 250);

export const css = (colour) => `rgb(${colour.join(" ")})`;
