// Which words of a text were taken out and put in: Myers' algorithm over words.
// Myers, An O(ND) Difference Algorithm and Its Variations, 1986.

const CHANCE = 2; // words that may stay by chance
const MOST = 800; // words taken out and put in; texts that differ more are shown as replaced

/** The words of a text, and "\n" for the end of a paragraph. */
export const wordsOf = (text) => String(text || "").trim().split(/\s*\n\s*/).flatMap((line, at) => (at ? ["\n"] : []).concat(line.split(/\s+/).filter(Boolean)));

/** How far down each diagonal each number of changes reaches; null if there are too many changes. */
function reached(before, after) {
  const [n, m] = [before.length, after.length];
  const most = Math.min(MOST, n + m);
  const ends = new Map([[1, 0]]);
  const trace = [];
  for (let changes = 0; changes <= most; changes += 1) {
    trace.push(new Map(ends));
    for (let diagonal = -changes; diagonal <= changes; diagonal += 2) {
      const down = diagonal === -changes || (diagonal !== changes && ends.get(diagonal - 1) < ends.get(diagonal + 1));
      let x = down ? ends.get(diagonal + 1) : ends.get(diagonal - 1) + 1;
      while (x < n && x - diagonal < m && before[x] === after[x - diagonal]) x += 1;
      ends.set(diagonal, x);
      if (x >= n && x - diagonal >= m) return trace;
    }
  }
  return null;
}

/** The steps from the end to the beginning, each [kind, word] of "same", "out" and "in". */
function walked(trace, before, after) {
  const steps = [];
  let [x, y] = [before.length, after.length];
  for (let changes = trace.length - 1; changes >= 0; changes -= 1) {
    const ends = trace[changes];
    const diagonal = x - y;
    const down = diagonal === -changes || (diagonal !== changes && ends.get(diagonal - 1) < ends.get(diagonal + 1));
    const from = down ? diagonal + 1 : diagonal - 1;
    const x0 = changes ? ends.get(from) : 0;
    const y0 = changes ? x0 - from : 0;
    while (x > x0 && y > y0) steps.push(["same", before[(x -= 1, y -= 1, x)]]);
    if (changes) steps.push(x === x0 ? ["in", after[y -= 1]] : ["out", before[x -= 1]]);
  }
  return steps;
}

/** The words of two texts as runs [kind, words], in order; kinds are "same", "out" and "in". */
export function changes(before, after) {
  const [old, fresh] = [wordsOf(before), wordsOf(after)];
  const trace = reached(old, fresh);
  const steps = trace ? walked(trace, old, fresh).reverse() : [...old.map((word) => ["out", word]), ...fresh.map((word) => ["in", word])];
  return joined(grouped(steps));
}

function grouped(steps) {
  const runs = [];
  for (const [kind, word] of steps) {
    if (runs.at(-1)?.[0] === kind) runs.at(-1)[1].push(word);
    else runs.push([kind, [word]]);
  }
  return runs;
}

/** How many words changed between a run and the next one that stayed, in one direction. */
function changedBeside(runs, at, step) {
  let count = 0;
  for (let other = at + step; runs[other] && runs[other][0] !== "same"; other += step) count += runs[other][1].length;
  return count;
}

/** A word or two that stayed by chance between longer changes are shown as changed, too: a rewritten
 * sentence reads better whole. */
function joined(runs) {
  const steps = runs.flatMap(([kind, words], at) => {
    const chance = kind === "same" && words.length <= CHANCE && Math.min(changedBeside(runs, at, -1), changedBeside(runs, at, 1)) > 2 * CHANCE;
    return (chance ? ["out", "in"] : [kind]).flatMap((one) => words.map((word) => [one, word]));
  });
  const sorted = [];
  let [out, put] = [[], []];
  for (const step of [...steps, ["same", null]]) {
    if (step[0] === "out") out.push(step);
    else if (step[0] === "in") put.push(step);
    else {
      sorted.push(...out, ...put, step);
      [out, put] = [[], []];
    }
  }
  return grouped(sorted.slice(0, -1));
}
