// The one part of the page that needs a script: a prompt to try, decided again as the slider moves.
"use strict";

const form = document.getElementById("trial");
if (form) {
  const prompt = document.getElementById("prompt");
  const weight = document.getElementById("weight");
  const weighs = document.getElementById("weighs");
  const tried = document.getElementById("tried");
  let newest = 0;
  let waiting = null;

  async function choose() {
    const number = ++newest;
    const body = JSON.stringify({ prompt: prompt.value, cost_weight: weight.valueAsNumber / 100 });
    const headers = { "content-type": "application/json" };
    let text;
    try {
      const response = await fetch("/page/try", { method: "POST", headers, body });
      text = await response.text();
      if (!response.ok) throw new Error(text);
    } catch (error) {
      if (number === newest) tried.textContent = String(error.message || error);
      return;
    }
    // Escaped by the server, and the policy of the page lets no script in it run.
    if (number === newest) tried.innerHTML = text;
  }

  function soon() {
    clearTimeout(waiting);
    waiting = setTimeout(choose, 120);
  }

  weight.addEventListener("input", () => {
    weighs.textContent = weight.value;
    if (prompt.value) soon();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    choose();
  });
  prompt.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) choose();
  });
}
