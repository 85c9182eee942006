// Drives a real Chromium against a running `rowhouse up`: one who works with the pages by mouse and keyboard, and a second who looks on.
// Each page is held against axe-core (WCAG 2.2 AA) in light and dark, on a desk and a phone, and a picture of it is kept.
//
//   node smoke.mjs http://acme.localhost:8080 EMAIL PASSWORD DIRECTORY-FOR-PICTURES
//
// CHROMIUM names the browser, default /usr/bin/chromium.

import assert from "node:assert/strict";
import { mkdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";
import { chromium } from "playwright-core";

const [base, email, password, out] = process.argv.slice(2);
const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
await mkdir(out, { recursive: true });

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-dev-shm-usage"], // The tests may run as root, in a container.
});

const desk = { width: 1280, height: 860 };
const phone = { width: 390, height: 844 };
const troubles = [];

// person opens a browser of their own. What its pages complain about is a fault.
async function person(name, options = {}) {
  const context = await browser.newContext({ viewport: desk, ...options });
  context.setDefaultTimeout(15_000);
  const page = await context.newPage();
  page.on("pageerror", (error) => troubles.push(`${name}: ${error}`));
  page.on("console", (message) => {
    if (message.type() === "error" && !/status of (401|403|404|409|422)/.test(message.text())) troubles.push(`${name}: ${message.text()}`);
  });
  return page;
}

async function signIn(page) {
  await page.goto(`${base}/sign-in`);
  await page.getByLabel("E-mail").first().fill(email);
  await page.getByLabel("Password", { exact: false }).first().fill(password);
  await page.locator("form button[type=submit], form button:not([type])").first().click();
  await page.getByRole("heading", { name: "Projects" }).waitFor();
}

// look holds a page against axe in both themes and keeps pictures of it. A page that moves while it loads is a fault, too.
async function look(page, name) {
  const url = page.url();
  for (const scheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
    for (const [device, size] of [["desk", desk], ["phone", phone]]) {
      await page.setViewportSize(size);
      await page.screenshot({ path: path.join(out, `${name}-${device}-${scheme}.png`), fullPage: true });
      const wide = await page.evaluate(() => {
        const most = document.documentElement.clientWidth;
        if (document.documentElement.scrollWidth <= most) return "";
        return [...document.body.querySelectorAll("*")].filter((e) => e.getBoundingClientRect().right > most + 1).map((e) => `${e.tagName}.${e.className}#${e.id}`).slice(-3).join(" ");
      });
      if (wide) troubles.push(`${name} on the ${device}: wider than the screen: ${wide}`);
      const found = await page.evaluate(`${axe}; axe.run({ runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] })`);
      for (const v of found.violations) {
        const line = `${name} (${device}, ${scheme}): ${v.impact}: ${v.id}: ${v.help}: ${v.nodes.map((n) => `${n.target} ${n.any.map((a) => a.message)}`).slice(0, 4).join(" | ")}`;
        if (v.impact === "serious" || v.impact === "critical") troubles.push(line);
        else console.log(`  note: ${line}`);
      }
    }
  }
  await page.setViewportSize(desk);
  await page.emulateMedia({ colorScheme: "light", reducedMotion: "no-preference" });
  console.log(`looked at ${name} (${new URL(url).pathname})`);
}

// shift gives how much of the page moved while it loaded (the layout shift score of Chromium).
async function shift(page, address) {
  await page.goto(address, { waitUntil: "load" });
  return page.evaluate(
    () =>
      new Promise((resolve) => {
        let score = 0;
        new PerformanceObserver((list) => {
          for (const entry of list.getEntries()) if (!entry.hadRecentInput) score += entry.value;
        }).observe({ type: "layout-shift", buffered: true });
        setTimeout(() => resolve(score), 500);
      }),
  );
}

const column = (page, status) => page.locator(`[data-board] [data-status="${status}"]`);

try {
  const ada = await person("ada");
  await ada.goto(`${base}/sign-in`);
  await look(ada, "sign-in");
  await signIn(ada);
  await look(ada, "projects");

  // A project and a task, by the forms.
  const name = `Browser ${Date.now()}`;
  await ada.getByText("New project", { exact: true }).click();
  await ada.getByLabel("Name", { exact: true }).fill(name);
  await ada.getByLabel("What it is about").fill("Made by a test that drives a browser.");
  await ada.getByRole("button", { name: "Make project" }).click();
  await ada.getByRole("heading", { name, level: 1 }).waitFor();
  const board = ada.url().split("#")[0];
  for (const title of ["Paint the nose cone", "Order propellant", "Test the anvil release"]) {
    await ada.getByLabel("New task in “To do”").fill(title);
    await column(ada, "todo").locator("xpath=..").getByRole("button", { name: "Add", exact: true }).click();
    await column(ada, "todo").getByText(title).waitFor();
  }

  // A second browser looks on. It is dragged here and seen there.
  const ben = await person("ben");
  await signIn(ben);
  await ben.goto(board);
  await column(ben, "todo").getByText("Order propellant").waitFor();
  await ada.goto(board);
  await column(ada, "todo").locator("[data-task]", { hasText: "Order propellant" }).dragTo(column(ada, "doing"));
  await column(ada, "doing").getByText("Order propellant").waitFor();
  await column(ben, "doing").getByText("Order propellant").waitFor();
  await ada.reload();
  await column(ada, "doing").getByText("Order propellant").waitFor();
  console.log("a card was dragged, and the other browser saw it");

  // The same by the keyboard: Shift and an arrow.
  await column(ada, "doing").getByRole("link", { name: "Order propellant" }).focus();
  await ada.keyboard.press("Shift+ArrowRight");
  await column(ada, "done").getByText("Order propellant").waitFor();
  await column(ben, "done").getByText("Order propellant").waitFor();
  assert.equal(await ada.evaluate(() => document.activeElement.textContent), "Order propellant", "the focus stays on the card");
  console.log("a card was moved by the keyboard");

  // By the card's menu.
  await ada.getByLabel("Move “Paint the nose cone”").click();
  await ada.getByRole("button", { name: "To “Doing”" }).click();
  await column(ben, "doing").getByText("Paint the nose cone").waitFor();
  await ada.goto(board);
  await look(ada, "board");

  // The task: what is being typed here is not lost when somebody changes it there.
  await ada.getByRole("link", { name: "Paint the nose cone" }).click();
  await ada.getByText("Edit title and description").click();
  await ada.getByRole("textbox", { name: "Description" }).fill("Two coats of red, and no drips.");
  await ben.getByRole("link", { name: "Paint the nose cone" }).click();
  await ben.getByLabel("Priority").selectOption("4");
  await ben.getByLabel("Facts").getByRole("button", { name: "Save", exact: true }).click();
  await ada.waitForFunction(() => document.querySelector("#f-priority")?.value === "4");
  assert.equal(await ada.getByRole("textbox", { name: "Description" }).inputValue(), "Two coats of red, and no drips.");
  await ada.locator("#edit-text").getByRole("button", { name: "Save", exact: true }).click();
  await ben.getByText("Two coats of red").first().waitFor();
  console.log("a form that was being filled in outlived a live update");
  await ada.locator("#f-file").setInputFiles({ name: "plan.txt", mimeType: "text/plain", buffer: Buffer.from("red") });
  await ada.getByRole("button", { name: "Upload" }).click();
  await ada.getByRole("link", { name: "plan.txt" }).waitFor();
  await ben.getByRole("link", { name: "plan.txt" }).waitFor();
  await ada.getByLabel("Write a comment").fill("Let it dry for a day, then the second coat.");
  await ada.getByRole("button", { name: "Comment", exact: true }).click();
  await ben.getByText("Let it dry for a day").first().waitFor();
  await ada.getByText("New label").click();
  await ada.getByLabel("Name of the label").fill(`Paint ${Date.now() % 10000}`);
  await ada.getByRole("button", { name: "Save labels" }).click();
  console.log("a file and a comment were seen in the other browser");
  await ada.goto(ada.url().split("#")[0]);
  await look(ada, "task");

  for (const [page, address] of Object.entries({
    list: `${board}/tasks`, tasks: "/tasks", "project-settings": `${board}/settings`, activity: "/activity", usage: "/usage", search: "/search?q=propellant", webhooks: "/settings/webhooks",
    branding: "/settings/branding", settings: "/settings", members: "/settings/members", keys: "/settings/keys", security: "/settings/security", missing: "/nothing-here",
    ...JSON.parse(process.env.MORE_PAGES ?? "{}"),
  })) {
    await ada.goto(new URL(address, base).href);
    await look(ada, page);
  }
  for (const address of ["/", board, "/tasks", ben.url()]) {
    const moved = await shift(ada, new URL(address, base).href);
    if (moved > 0.02) troubles.push(`${address} moves while it loads: ${moved}`);
  }

  // Without JavaScript the same task is moved by its menu's form.
  const plain = await person("plain", { javaScriptEnabled: false });
  await signIn(plain);
  await plain.goto(board);
  await plain.getByLabel("Move “Test the anvil release”").click();
  await plain.getByRole("button", { name: "To “Cancelled”" }).click();
  await column(plain, "cancelled").getByText("Test the anvil release").waitFor();
  console.log("without JavaScript it works, too");
} catch (error) {
  troubles.push(String(error.stack ?? error));
  let n = 0;
  for (const context of browser.contexts()) for (const page of context.pages()) await page.screenshot({ path: path.join(out, `failed-${n++}.png`) }).catch(() => {});
}
await browser.close();
if (troubles.length) {
  console.error(`\n${troubles.length} faults:\n${troubles.join("\n")}`);
  process.exit(1);
}
console.log("no faults");
