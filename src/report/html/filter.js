"use strict";
const form = document.querySelector("form.filter");
const [text, result] = form.elements;
const items = [...document.querySelectorAll("[data-name]")];
const total = document.querySelectorAll("tr[data-row]").length;

// Opens whatever hides an element.
function reveal(element) {
  for (let parent = element; parent; parent = parent.parentElement) {
    if (parent.tagName === "DETAILS") parent.open = true;
  }
}

function apply() {
  const wanted = text.value.trim().toLowerCase();
  const active = wanted !== "" || result.value !== "";
  for (const item of items) {
    const named = item.dataset.name.toLowerCase().includes(wanted);
    const fits = result.value === "" || item.dataset.results.split(" ").includes(result.value);
    item.hidden = !(named && fits);
  }
  document.body.classList.toggle("filtering", active);
  for (const fold of document.querySelectorAll("details.fold")) {
    fold.open = active && fold.querySelector("[data-name]:not([hidden])") !== null;
  }
  const shown = document.querySelectorAll("tr[data-row]:not([hidden])").length;
  form.querySelector("output").value = active ? `${shown} of ${total} test cases` : "";
}

function follow() {
  const target = location.hash && document.getElementById(location.hash.slice(1));
  if (target) {
    reveal(target);
    target.scrollIntoView();
  }
}

form.hidden = false;
form.addEventListener("input", apply);
form.addEventListener("submit", (event) => event.preventDefault());
window.addEventListener("hashchange", follow);
apply();
follow();
