"use strict";
const show = (id) => document.getElementById(id);
let current = null;
let isSending = false;

async function look() {
  let told;
  try {
    told = await (await fetch("next")).json();
  } catch {
    told = { done: true };
  }
  if (told.number === undefined) {
    current = null;
    show("item").hidden = true;
    show("state").textContent = told.done ? "Done: this page can be closed." : "Waiting for answers ...";
    if (!told.done) setTimeout(look, 300);
    return;
  }
  if (current !== null && told.number === current.number) {
    setTimeout(look, 100);
    return;
  }
  current = told;
  show("prompt").textContent = told.prompt;
  show("answer").textContent = told.answer;
  show("wanted").hidden = told.expected === null;
  show("expected").textContent = told.expected ?? "";
  show("state").textContent = `Answer ${told.number}`;
  show("item").hidden = false;
  show("answer").scrollTop = 0;
}

async function grade(button) {
  if (current === null || isSending) return;
  isSending = true;
  const effect = button.dataset.effect === "" ? null : Number(button.dataset.effect);
  try {
    await fetch("grade", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ number: current.number, effect }),
    });
  } finally {
    isSending = false;
    look();
  }
}

for (const button of document.querySelectorAll("button")) {
  button.addEventListener("click", () => grade(button));
}
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const button = document.querySelector(`button[data-key="${CSS.escape(event.key)}"]`);
  if (button !== null) {
    event.preventDefault();
    grade(button);
  }
});
look();
