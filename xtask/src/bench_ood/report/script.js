"use strict";
// On paper nothing can be opened.
addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("details")) details.open = true;
});
// One handler for each case: where the divider is, which picture is on the right, how large the pixels are.
for (const figure of document.querySelectorAll("figure.case")) {
  const stack = figure.querySelector(".stack");
  if (!stack) continue;
  const slider = figure.querySelector("input[type=range]");
  const select = figure.querySelector("select");
  const right = figure.querySelector(".right");
  const zoom = figure.querySelector(".zoom");
  const view = figure.querySelector(".view");

  const move = () => {
    stack.style.setProperty("--at", slider.value + "%");
    slider.setAttribute("aria-valuetext", slider.value + " % of the width shows the input");
  };
  slider.addEventListener("input", move);
  move();

  select.addEventListener("change", () => {
    for (const image of stack.querySelectorAll(".after")) image.hidden = image.dataset.layer !== select.value;
    right.textContent = select.selectedOptions[0].textContent;
  });

  let factor = 1;
  zoom.addEventListener("click", () => {
    const x = (view.scrollLeft + view.clientWidth / 2) / view.scrollWidth;
    const y = (view.scrollTop + view.clientHeight / 2) / view.scrollHeight;
    const height = view.clientHeight;
    factor = factor >= 8 ? 1 : factor * 2;
    // The frame keeps its size; what grows is scrolled in it, with a finger or the arrow keys.
    view.style.height = factor > 1 ? height + "px" : "";
    stack.style.setProperty("--zoom", factor);
    stack.classList.toggle("zoomed", factor > 1);
    view.scrollLeft = x * view.scrollWidth - view.clientWidth / 2;
    view.scrollTop = y * view.scrollHeight - view.clientHeight / 2;
    zoom.textContent = "zoom " + factor + "×";
    zoom.setAttribute("aria-label", "Zoom, now " + factor + " times");
  });
}
