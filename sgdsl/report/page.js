"use strict";
// Redraws decoded images and numbers from the grids that the page carries. No library, no request.
(() => {
  const page = document.documentElement;
  page.dataset.script = "on";

  const theme = document.getElementById("theme");
  const themes = ["auto", "light", "dark"];
  theme.addEventListener("click", () => {
    const next = themes[(themes.indexOf(page.dataset.theme || "auto") + 1) % themes.length];
    page.dataset.theme = next;
    theme.textContent = `Theme: ${next}`;
    redraw();
  });

  // --- traversals and other parts of which one is shown ---
  for (const group of document.querySelectorAll(".choices")) {
    const chooser = group.querySelector(".chooser");
    if (!chooser) continue;
    const show = () => {
      for (const part of group.querySelectorAll("[data-choice]")) part.hidden = part.dataset.choice !== chooser.value;
    };
    chooser.addEventListener("change", show);
    show();
  }

  // --- the explorer ---
  const deviations = (value) => `${value > 0 ? "+" : value < 0 ? "−" : ""}${Math.abs(value).toFixed(2).replace(/\.?0+$/, "")}`;

  const numbersOf = (store) => {
    const bytes = Uint8Array.from(atob(store.textContent), (letter) => letter.charCodeAt(0));
    const view = new DataView(bytes.buffer);
    const facts = JSON.parse(store.dataset.facts);
    const value = (index) => facts.low + ((facts.high - facts.low) * view.getUint16(2 * index, true)) / 65535;
    return { ...facts, value };
  };

  const drawImage = (canvas, store, frame, across) => {
    const { width, height } = canvas;
    const x = (frame % across) * width;
    const y = Math.floor(frame / across) * height;
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, width, height);
    context.drawImage(store, x, y, width, height, 0, 0, width, height);
  };

  const drawNumbers = (canvas, numbers, frame) => {
    const shape = canvas.getBoundingClientRect();
    const ratio = window.devicePixelRatio || 1;
    const width = Math.max(200, shape.width);
    const height = 236;
    canvas.width = width * ratio;
    canvas.height = height * ratio;
    const context = canvas.getContext("2d");
    context.scale(ratio, ratio);
    const style = getComputedStyle(page);
    const colour = (name) => style.getPropertyValue(name).trim();
    const [left, right, top, bottom] = [52, 4, 10, 22];
    const { low, high, cells } = numbers;
    const up = (value) => height - bottom - ((value - low) / (high - low || 1)) * (height - top - bottom);
    context.font = "12px system-ui, sans-serif";
    context.fillStyle = colour("--soft");
    context.strokeStyle = colour("--rule");
    context.textAlign = "right";
    context.textBaseline = "middle";
    const apart = (values, value) => (values.some((v) => Math.abs(up(v) - up(value)) < 14) ? values : [...values, value]);
    for (const value of [0, low, high, (low + high) / 2].reduce(apart, [])) {
      context.fillText(Number(value.toPrecision(3)).toString(), left - 6, up(value));
      context.beginPath();
      context.moveTo(left, up(value));
      context.lineTo(width - right, up(value));
      context.stroke();
    }
    const step = (width - left - right) / cells.length;
    const every = Math.ceil(cells.length / Math.max(1, Math.floor((width - left) / 36)));
    context.textAlign = "center";
    cells.forEach((cell, i) => {
      if (i % every === 0) context.fillText(String(cell), left + (i + 0.5) * step, height - 8);
    });
    context.fillStyle = colour("--s0");
    cells.forEach((_, i) => {
      const at = up(numbers.value(frame * cells.length + i));
      context.fillRect(left + (i + 0.12) * step, Math.min(at, up(0)), Math.max(1, step * 0.76), Math.max(1, Math.abs(at - up(0))));
    });
  };

  const views = [...document.querySelectorAll(".view")].map((view) => {
    const facts = JSON.parse(view.dataset.view);
    const sliders = [...view.querySelectorAll("input[type=range]")];
    const classes = [...view.querySelectorAll("input[type=radio]")];
    const canvases = [...view.querySelectorAll("canvas")];
    const across = facts.offsets.length;
    const numbers = new Map();

    const draw = () => {
      const places = sliders.map((slider) => Number(slider.value));
      const chosen = Math.max(0, classes.findIndex((radio) => radio.checked));
      const words = facts.axes.map((name, i) => `${name} at ${deviations(facts.offsets[places[i]])} standard deviations`);
      if (classes.length) words.push(`${facts.label} = ${facts.classes[chosen]}`);
      sliders.forEach((slider, i) => {
        const at = deviations(facts.offsets[places[i]]);
        slider.setAttribute("aria-valuetext", `${at} standard deviations`);
        view.querySelector(`output[for="${slider.id}"]`).textContent = `${at} sd`;
      });
      for (const canvas of canvases) {
        const of = canvas.dataset.class === undefined ? chosen : Number(canvas.dataset.class);
        const frame = (of * facts.down + (places[1] || 0)) * across + places[0];
        const store = document.getElementById(canvas.dataset.source);
        if (store instanceof HTMLImageElement) {
          drawImage(canvas, store, frame, across);
        } else {
          if (!numbers.has(store)) numbers.set(store, numbersOf(store));
          drawNumbers(canvas, numbers.get(store), frame);
        }
        if (canvas.getAttribute("role") === "img") {
          canvas.setAttribute("aria-label", `Mean of ${canvas.dataset.node} with ${words.join(", ")}`);
        }
      }
    };

    view.addEventListener("input", draw);
    const images = canvases.map((c) => document.getElementById(c.dataset.source)).filter((s) => s instanceof HTMLImageElement);
    Promise.all(images.map((image) => image.decode())).then(draw);
    return { view, draw };
  });

  const redraw = () => views.filter(({ view }) => !view.hidden).forEach(({ draw }) => draw());
  const chooser = document.getElementById("view");
  if (chooser) {
    const show = () => {
      views.forEach(({ view }, i) => {
        view.hidden = String(i) !== chooser.value;
      });
      redraw();
    };
    chooser.addEventListener("change", show);
    show();
  }
  window.addEventListener("resize", redraw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
})();
