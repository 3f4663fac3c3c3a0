"use strict";
// Puts what is new of a page in the place of what is shown, part by part: opened texts stay open, ticked
// boxes ticked, and what is under the pointer waits.
const seconds = Number(document.currentScript.dataset.seconds);

async function look() {
  let pause = 1000 * seconds;
  if (!document.hidden) {
    const begun = performance.now();
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (!answer.ok) {
      location.reload();
      return;
    }
    const text = await answer.text();
    const fresh = new DOMParser().parseFromString(text, "text/html").querySelector("main");
    const shown = document.querySelector("main");
    renew(shown, fresh);
    if (!fresh.hasAttribute("data-live")) return;
    // A page that is much work for the server is asked for less often.
    pause = Math.max(pause, 4 * (performance.now() - begun));
  }
  setTimeout(again, pause);
}

function again() {
  look().catch(() => setTimeout(again, 1000 * seconds));
}

function renew(shown, fresh) {
  const title = (part) => part.tagName + (part.querySelector("h2")?.textContent ?? "");
  const known = new Map([...shown.children].map((part) => [title(part), part]));
  let before = null;
  for (const part of [...fresh.children]) {
    const old = known.get(title(part));
    known.delete(title(part));
    let present = part;
    if (old === undefined) {
      if (before === null) shown.prepend(part);
      else before.after(part);
    } else if (old.outerHTML === part.outerHTML || old.matches(":hover, :focus-within")) {
      present = old;
    } else {
      keep(old, part);
      old.replaceWith(part);
    }
    before = present;
  }
  for (const gone of known.values()) gone.remove();
}

function keep(old, part) {
  const label = (each) => each.querySelector("summary").textContent;
  const open = new Map([...old.querySelectorAll("details")].map((each) => [label(each), each.open]));
  for (const each of part.querySelectorAll("details")) each.open = open.get(label(each)) ?? each.open;
  const ticked = new Set([...old.querySelectorAll("input:checked")].map((each) => each.value));
  for (const each of part.querySelectorAll("input[type=checkbox]")) each.checked = ticked.has(each.value);
}

setTimeout(again, 1000 * seconds);
