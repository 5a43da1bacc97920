// Stand-ins for media that this service doesn't hold: drawn from the item's uri, so that each item
// keeps its own, and never a broken image.

import { svg } from "../shared/dom.js";

/** A generator of numbers from 0 to 1, which are the same for the same text (FNV-1a, mulberry32). */
function seeded(text) {
  let seed = 2166136261;
  for (const character of text) seed = Math.imul(seed ^ character.codePointAt(0), 16777619);
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let value = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value;
    return ((value ^ (value >>> 14)) >>> 0) / 4294967296;
  };
}

function ridge(random, base, height) {
  let path = `M0 120 L0 ${base}`;
  for (let x = 0; x <= 180; x += 30) {
    const y = base - random() * height;
    path += ` S${x - 15} ${y - random() * 8} ${x} ${y}`;
  }
  return `${path} L180 120 Z`;
}

function landscape(random) {
  const sun = 30 + random() * 120;
  return [
    svg("rect", { class: "sky", width: 180, height: 120 }),
    svg("circle", { class: "sun", cx: sun, cy: 30 + random() * 24, r: 9 + random() * 8 }),
    svg("path", { class: "far", d: ridge(random, 76, 26) }),
    svg("path", { class: "mid", d: ridge(random, 92, 22) }),
    svg("path", { class: "near", d: ridge(random, 112, 16) }),
  ];
}

function film(random) {
  return [
    ...landscape(random),
    svg("circle", { class: "disc", cx: 90, cy: 60, r: 19 }),
    svg("path", { class: "play", d: "M84 50 L101 60 L84 70 Z" }),
  ];
}

function wave(random) {
  const lines = [svg("rect", { class: "sky", width: 180, height: 120 })];
  for (let x = 16; x <= 164; x += 7) {
    const half = 4 + random() * 34 * Math.sin((x / 180) * Math.PI);
    lines.push(svg("line", { class: "stroke", x1: x, x2: x, y1: 60 - half, y2: 60 + half }));
  }
  return lines;
}

function chart(random) {
  const bars = [svg("rect", { class: "sky", width: 180, height: 120 })];
  for (let n = 0; n < 7; n += 1) {
    const height = 16 + random() * 62;
    bars.push(svg("rect", { class: n % 3 ? "mid" : "near", x: 22 + n * 20, y: 100 - height, width: 13, height }));
  }
  bars.push(svg("line", { class: "stroke thin", x1: 16, x2: 164, y1: 100.5, y2: 100.5 }));
  return bars;
}

const DRAWN = { picture: landscape, video: film, audio: wave, graphic: chart };

/** A drawing for a picture, video or sound; null for a text. */
export function placeholder(item) {
  const draw = DRAWN[item.type];
  if (!draw) return null;
  const random = seeded(item.uri);
  const tone = `tone-${Math.floor(random() * 4)}`;
  return svg(
    "svg",
    { class: `placeholder ${tone}`, viewBox: "0 0 180 120", preserveAspectRatio: "xMidYMid slice", "aria-hidden": "true" },
    draw(random),
  );
}
