// Drives OHIF in a headless Chromium: reads {url, chromium, out, actions} as JSON from standard
// input, does the actions in order and prints one JSON array of their answers.
//
//   ["open", path]            open a page and wait until the film is painted
//   ["series", words]         double-click the series whose row holds the words
//   ["yes"]                   answer the question that OHIF asks
//   ["wait", words]           wait until the words are on the page
//   ["panel", name]           open a panel on the right by its tab
//   ["colours", [r, g, b], n] wait for at least n pixels of the film near a colour; answer
//                             how many are in its left and its right half
//   ["shapes", n]             wait for at least n drawn shapes; answer {canvas: [w, h],
//                             shapes: [[x, y, w, h], ...]} in pixels of the screen
//   ["settle"]                ask for a redraw and give it time, before a screenshot
//   ["text"]                  the text of the page
//   ["shot", file]            save a screenshot under `out`
import { createRequire } from "node:module";
import path from "node:path";

const require = createRequire(path.join(process.env.OHIF_MODULES, "index.js"));
const { chromium } = require("playwright-core");

const PATIENCE_MS = 120000;
const FLAGS = [
  "--headless", "--no-sandbox", "--disable-gpu", "--use-angle=swiftshader",
  "--enable-unsafe-swiftshader",
];
const ROW = '[data-cy^="study-browser-thumbnail"]';

async function readInput() {
  let text = "";
  for await (const chunk of process.stdin) text += chunk;
  return JSON.parse(text);
}

const painted = () => {
  const canvas = document.querySelector(".cornerstone-canvas");
  if (!canvas || !canvas.width) return false;
  const copy = document.createElement("canvas");
  copy.width = copy.height = 32;
  const pen = copy.getContext("2d");
  pen.drawImage(canvas, 0, 0, 32, 32);
  return pen.getImageData(0, 0, 32, 32).data.some((value, at) => at % 4 < 3 && value > 20);
};

const countColour = ([r, g, b]) => {
  const count = [0, 0];
  for (const canvas of document.querySelectorAll(".cornerstone-canvas")) {
    const copy = document.createElement("canvas");
    copy.width = canvas.width;
    copy.height = canvas.height;
    const pen = copy.getContext("2d");
    pen.drawImage(canvas, 0, 0);
    const data = pen.getImageData(0, 0, copy.width, copy.height).data;
    for (let at = 0; at < data.length; at += 4) {
      const near = Math.abs(data[at] - r) + Math.abs(data[at + 1] - g) + Math.abs(data[at + 2] - b);
      if (near < 60) count[((at / 4) % copy.width) * 2 < copy.width ? 0 : 1] += 1;
    }
  }
  return count;
};

const drawnShapes = () => {
  const canvas = document.querySelector(".cornerstone-canvas").getBoundingClientRect();
  const shapes = [...document.querySelectorAll("svg.svg-layer rect, svg.svg-layer path")]
    .filter((shape) => !shape.closest("defs"))
    .map((shape) => shape.getBoundingClientRect())
    .filter((box) => box.width > 5 && box.height > 5)
    .map((box) => [box.x - canvas.x, box.y - canvas.y, box.width, box.height]);
  return { canvas: [canvas.width, canvas.height], shapes };
};

async function until(page, probe, enough) {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const found = await probe();
    if (enough(found) || Date.now() > deadline) return found;
    // Preview boxes are sometimes only painted at the next redraw: a resize asks for one.
    await page.evaluate(() => window.dispatchEvent(new Event("resize")));
    await page.waitForTimeout(500);
  }
}

const actions = {
  async open(page, base, [target]) {
    await page.goto(base + target, { waitUntil: "domcontentloaded", timeout: PATIENCE_MS });
    await page.waitForFunction(painted, null, { timeout: PATIENCE_MS });
  },
  async series(page, base, [words]) {
    const row = page.locator(ROW).filter({ hasText: words }).first();
    await row.waitFor({ timeout: PATIENCE_MS });
    await row.scrollIntoViewIfNeeded();
    await row.dblclick();
  },
  async yes(page) {
    const button = page.locator('[data-cy="prompt-begin-tracking-yes-btn"], button:has-text("Yes")');
    await button.first().click({ timeout: PATIENCE_MS });
    await button.first().waitFor({ state: "detached", timeout: PATIENCE_MS });
  },
  async wait(page, base, [words]) {
    await page.waitForFunction((wanted) => document.body.innerText.includes(wanted), words,
      { timeout: PATIENCE_MS });
  },
  async panel(page, base, [name]) {
    await page.locator(`[data-cy="${name}-btn"]`).first().click({ timeout: PATIENCE_MS });
  },
  async colours(page, base, [rgb, least = 0]) {
    return until(page, () => page.evaluate(countColour, rgb), ([l, r]) => l + r >= least);
  },
  async shapes(page, base, [least]) {
    return until(page, () => page.evaluate(drawnShapes), (found) => found.shapes.length >= least);
  },
  async settle(page) {
    await page.evaluate(() => window.dispatchEvent(new Event("resize")));
    await page.waitForLoadState("networkidle", { timeout: PATIENCE_MS });
    await page.waitForTimeout(3000);
  },
  async text(page) { return page.evaluate(() => document.body.innerText); },
  async shot(page, base, [file], out) { await page.screenshot({ path: path.join(out, file) }); },
};

const input = await readInput();
const browser = await chromium.launch({ executablePath: input.chromium, args: FLAGS });
const answers = [];
let page;
try {
  page = await browser.newPage({ viewport: { width: 1500, height: 900 } });
  // The viewer's own tour for beginners would lie over everything.
  await page.addInitScript(() => localStorage.setItem("shownTours", '["basicViewerTour"]'));
  for (const [name, ...rest] of input.actions) {
    answers.push((await actions[name](page, input.url, rest, input.out)) ?? null);
  }
  process.stdout.write(JSON.stringify(answers));
} catch (error) {
  if (page) await page.screenshot({ path: path.join(input.out, "failed.png") });
  process.stderr.write(String(error));
  process.exitCode = 1;
} finally {
  await browser.close();
}
