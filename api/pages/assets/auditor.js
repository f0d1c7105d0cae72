// What the auditors' pages do better with a script: files are hashed where they
// are instead of being sent, and passkeys work, which no form can do.
"use strict";

// The fingerprint of a file goes into the field that is searched by.
const form = document.querySelector("form[data-hash]");
if (form && window.Worker) {
  const drop = form.querySelector(".drop");
  const picker = drop.querySelector("input[type=file]");
  const send = drop.querySelector("[data-upload]");
  const bar = drop.querySelector("progress");
  const status = drop.querySelector("[data-status]");
  const cancel = drop.querySelector("[data-cancel]");
  const field = document.getElementById(form.dataset.field);
  const hint = document.getElementById("archivo-hint");
  hint.textContent = `${hint.dataset.script} ${drop.dataset.drop}`;
  send.hidden = true;
  picker.removeAttribute("name"); // not even its name is sent

  let worker = null;
  const say = (words) => {
    status.hidden = false;
    status.textContent = words;
  };
  const end = (words) => {
    if (worker) worker.terminate();
    worker = null;
    bar.hidden = cancel.hidden = true;
    drop.removeAttribute("aria-busy");
    say(words);
  };
  const hash = (file) => {
    if (worker) worker.terminate();
    worker = new Worker(form.dataset.hash);
    bar.value = 0;
    bar.hidden = cancel.hidden = false;
    drop.setAttribute("aria-busy", "true");
    say(`${form.dataset.hashing}: ${file.name}`);
    worker.addEventListener("error", () => end(form.dataset.failed));
    worker.addEventListener("message", ({ data }) => {
      if (data.failed) end(form.dataset.failed);
      if (data.read) bar.value = (100 * data.read) / file.size;
      if (data.hex) {
        field.value = data.hex.toUpperCase().replace(/(.{4})(?=.)/g, "$1 ");
        end(`${form.dataset.hashed} (${file.name})`);
      }
    });
    worker.postMessage(file);
  };
  picker.addEventListener("change", () => {
    if (picker.files.length) hash(picker.files[0]);
  });
  cancel.addEventListener("click", () => {
    end(form.dataset.cancelled);
    picker.value = "";
    picker.focus();
  });
  drop.addEventListener("dragover", (event) => {
    event.preventDefault();
    drop.classList.add("drop-over");
  });
  drop.addEventListener("dragleave", () => drop.classList.remove("drop-over"));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("drop-over");
    if (event.dataTransfer.files.length) hash(event.dataTransfer.files[0]);
  });
}

// Passkeys (WebAuthn Level 3). The invitation to create one stands behind the #
// of the address, which browsers send to nobody; it is taken out of the address
// bar at once.
class Refusal extends Error {}
const post = async (address, body) => {
  const answer = await fetch(address, {
    method: "POST",
    headers: { "Content-Type": "application/json", "Accept-Language": document.documentElement.lang },
    body: JSON.stringify(body),
  });
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refusal([told.detail, told.remedy].filter(Boolean).join(" "));
  return told;
};

for (const box of document.querySelectorAll("[data-passkey]")) {
  const button = box.querySelector("button");
  const said = box.querySelector("[data-said]");
  const tell = (words) => {
    said.hidden = !words;
    said.querySelector("span").textContent = words;
  };
  const enrols = box.dataset.passkey === "enrol";
  const invitation = enrols ? location.hash.slice(1) : "";
  if (invitation) history.replaceState(null, "", location.pathname + location.search);
  button.hidden = false;
  if (!window.PublicKeyCredential || !PublicKeyCredential.parseRequestOptionsFromJSON) {
    button.hidden = true;
    tell(box.dataset.missing);
    continue;
  }
  button.addEventListener("click", async () => {
    if (button.getAttribute("aria-disabled") === "true") return;
    const words = button.textContent;
    button.setAttribute("aria-disabled", "true");
    button.textContent = box.dataset.waiting;
    tell("");
    try {
      const { publicKey } = await post(box.dataset.begin, invitation ? { invitation } : {});
      const credential = enrols
        ? await navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(publicKey) })
        : await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(publicKey) });
      const { next } = await post(box.dataset.finish, credential.toJSON());
      location.assign(next);
      return;
    } catch (error) {
      tell((error instanceof Refusal && error.message) || (error instanceof DOMException ? box.dataset.cancelled : box.dataset.failed));
    }
    button.removeAttribute("aria-disabled");
    button.textContent = words;
  });
}
