// What pages do better with a script. Nothing here is needed: each part improves
// markup that already works, and takes its words from data attributes.
"use strict";

// Countdowns. The page says until when; the script adds what is left, and tells
// screen readers at one minute, half a minute and the end only.
for (const shown of document.querySelectorAll("[data-countdown]")) {
  const ends = Date.now() + Number(shown.dataset.countdown) * 1000;
  const spoken = document.createElement("span");
  spoken.className = "unseen";
  spoken.setAttribute("role", "status");
  shown.after(spoken);
  shown.setAttribute("aria-hidden", "true");
  const said = new Set();
  const say = (key) => {
    if (!said.has(key) && shown.dataset[key]) spoken.textContent = shown.dataset[key];
    said.add(key);
  };
  const tick = () => {
    const left = Math.max(0, Math.ceil((ends - Date.now()) / 1000));
    if (left === 0) {
      shown.textContent = " · " + shown.dataset.over;
      say("over");
      return;
    }
    shown.textContent = ` · ${shown.dataset.label} ${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
    if (left <= 30) say("half");
    else if (left <= 60) say("minute");
    setTimeout(tick, 1000 - (Date.now() % 1000));
  };
  tick();
}

// What is known of an SMS, looked at again until it has arrived or been lost, or
// for a minute. What has been typed stays.
for (const told of document.querySelectorAll("[data-look]")) {
  let turns = 15;
  const look = async () => {
    const answer = await fetch(told.dataset.look, { redirect: "manual" }).catch(() => null);
    const fresh = answer?.ok && new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("p.lead[role=status]");
    if (fresh && !fresh.hasAttribute("data-look")) told.replaceChildren(...fresh.childNodes);
    else if (--turns > 0) setTimeout(look, 4000);
  };
  if (told.dataset.look) setTimeout(look, 4000);
}

// Buttons that may be pressed after a while only. They stay in the tab order.
for (const button of document.querySelectorAll("button[data-wait]")) {
  const ends = Date.now() + Number(button.dataset.wait) * 1000;
  const words = button.textContent;
  const hint = button.parentElement.querySelector("[data-wait-hint]");
  if (hint) hint.hidden = true;
  const tick = () => {
    const left = Math.ceil((ends - Date.now()) / 1000);
    if (left <= 0) {
      button.removeAttribute("aria-disabled");
      button.textContent = words;
      return;
    }
    button.setAttribute("aria-disabled", "true");
    button.textContent = `${words} (${left} s)`;
    setTimeout(tick, 1000);
  };
  tick();
}

// One submission per press. A form becomes usable again when the reader comes
// back to its page, or when an answer stays away: the server takes each
// submission once whatever happens here.
const unlock = (form) => {
  delete form.dataset.sent;
  for (const button of form.querySelectorAll("[data-pressed]")) {
    delete button.dataset.pressed;
    button.removeAttribute("aria-disabled");
  }
};
document.addEventListener("submit", (event) => {
  const form = event.target;
  const pressed = event.submitter;
  if (form.dataset.sent || (pressed && pressed.getAttribute("aria-disabled") === "true")) {
    event.preventDefault();
    return;
  }
  form.dataset.sent = "yes";
  if (pressed) {
    pressed.dataset.pressed = "yes";
    pressed.setAttribute("aria-disabled", "true");
  }
  setTimeout(unlock, 15000, form);
});
addEventListener("pageshow", (event) => {
  if (event.persisted) document.querySelectorAll("form[data-sent]").forEach(unlock);
});

// Passwords can be shown for a moment, and are hidden again before they are sent.
for (const box of document.querySelectorAll("[data-show]")) {
  const input = box.querySelector("input");
  const button = document.createElement("button");
  button.type = "button";
  button.setAttribute("aria-controls", input.id);
  const set = (type) => {
    input.type = type;
    button.textContent = type === "password" ? box.dataset.show : box.dataset.hide;
  };
  button.addEventListener("click", () => set(input.type === "password" ? "text" : "password"));
  input.form.addEventListener("submit", () => set("password"));
  set("password");
  box.append(button);
}

// Codes read as 1234 5678, also when pasted with dashes or a whole sentence.
for (const input of document.querySelectorAll(".box-code input[name=code]")) {
  input.addEventListener("input", () => {
    const digits = input.value.replace(/\D/g, "").slice(0, 8);
    const before = input.value.slice(0, input.selectionStart).replace(/\D/g, "").length;
    input.value = digits.replace(/^(\d{4})(?=\d)/, "$1 ");
    const caret = before > 4 ? before + 1 : before;
    input.setSelectionRange(caret, caret);
  });
  input.addEventListener("paste", (event) => {
    const pasted = event.clipboardData.getData("text");
    const code = pasted.match(/(?<!\d)\d{4}[\s-]?\d{4}(?!\d)/);
    if (!code) return;
    event.preventDefault();
    input.value = code[0];
    input.dispatchEvent(new Event("input", { bubbles: true }));
  });
}

// The page of a document grows in its place instead of opening alone, by a
// press on it or on the words below it.
const zooms = document.querySelectorAll("a[data-zoom]");
for (const link of zooms) {
  link.setAttribute("aria-pressed", "false");
  link.setAttribute("role", "button");
  const toggle = (event) => {
    event.preventDefault();
    const sheet = link.closest(".viewer").querySelector(".sheet");
    const zoomed = sheet.classList.toggle("zoomed");
    // The finer picture is fetched once, by who asks for it.
    const picture = sheet.querySelector("img");
    if (zoomed && picture.src !== link.href) picture.src = link.href;
    for (const one of zooms) one.setAttribute("aria-pressed", String(zoomed));
  };
  link.addEventListener("click", toggle);
  link.addEventListener("keydown", (event) => { if (event.key === " ") toggle(event); });
}
