"use strict";
// Puts what is new of a page in the place of what is shown, part by part: opened texts stay open, ticked
// boxes ticked, and what is under the pointer waits.
const seconds = Number(document.currentScript.dataset.seconds);

async function look() {
  if (!document.hidden) {
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
  }
  setTimeout(() => look().catch(() => setTimeout(look, 1000 * seconds)), 1000 * seconds);
}

function renew(shown, fresh) {
  const title = (part) => part.tagName + (part.querySelector("h2")?.textContent ?? "");
  const known = new Map([...shown.children].map((part) => [title(part), part]));
  for (const part of [...fresh.children]) {
    const old = known.get(title(part));
    known.delete(title(part));
    if (old === undefined) {
      shown.lastElementChild.before(part);
    } else if (old.outerHTML !== part.outerHTML && !old.matches(":hover, :focus-within")) {
      keep(old, part);
      old.replaceWith(part);
    }
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

setTimeout(look, 1000 * seconds);
