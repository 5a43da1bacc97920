// Crop marks: how a picture is cut to the shapes that pages use, and how many pixels are left.

import { el } from "../shared/dom.js";
import { number } from "../shared/format.js";
import { t } from "../shared/texts.js";

export const SHAPES = [["16:9", 16 / 9], ["3:2", 3 / 2], ["1:1", 1], ["4:5", 4 / 5], ["9:16", 9 / 16]];
const STEP = 0.02; // of the picture, by which a key moves the frame
const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** The largest frame of a shape in a picture, as shares of its sides; `x` and `y` are where it lies, 0 to 1. */
export function frameOf(width, height, shape, x = 0.5, y = 0.5) {
  const wide = Math.min(1, (shape * height) / width);
  const high = Math.min(1, width / (shape * height));
  return { left: (1 - wide) * x, top: (1 - high) * y, wide, high };
}

const percent = (share) => `${(share * 100).toFixed(3)}%`;
const held = (value) => Math.min(1, Math.max(0, value));

/** A frame over a picture that can be moved by hand and by keys, and what draws it. `size` is that of the file. */
export function cropMarks(image, size, [name, shape], told) {
  const place = { x: 0.5, y: 0.5 };
  const frame = el("div", { class: "crop", tabindex: "0", role: "group", "aria-label": t("Crop {name}: arrow keys move it", { name }) }, el("span", { class: "crop-thirds", "aria-hidden": "true" }));
  const draw = () => {
    const cut = frameOf(size.width, size.height, shape, place.x, place.y);
    Object.assign(frame.style, { left: percent(cut.left), top: percent(cut.top), width: percent(cut.wide), height: percent(cut.high) });
    const [left, top, wide, high] = [cut.left * size.width, cut.top * size.height, cut.wide * size.width, cut.high * size.height].map(Math.round);
    told(t("{name}: {width} × {height} px from {left}, {top}", { name, width: number(wide), height: number(high), left: number(left), top: number(top) }));
  };
  const move = (right, down) => {
    const cut = frameOf(size.width, size.height, shape);
    if (cut.wide < 1) place.x = held(place.x + right / (1 - cut.wide));
    if (cut.high < 1) place.y = held(place.y + down / (1 - cut.high));
    draw();
  };
  frame.addEventListener("keydown", (event) => {
    if (!MOVES[event.key]) return;
    event.preventDefault();
    event.stopPropagation(); // else the next picture would come
    move(...MOVES[event.key].map((sign) => sign * STEP));
  });
  frame.addEventListener("pointerdown", (event) => { frame.setPointerCapture(event.pointerId); event.preventDefault(); frame.focus(); });
  frame.addEventListener("pointermove", (event) => {
    if (frame.hasPointerCapture(event.pointerId)) move(event.movementX / image.clientWidth, event.movementY / image.clientHeight);
  });
  return { frame, draw };
}
