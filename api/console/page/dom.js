// This module makes elements. Text only ever becomes text nodes, so no key or value can become
// markup.

const svgNamespace = 'http://www.w3.org/2000/svg';

// h makes an HTML element. Properties that begin with "on" are listeners, others are attributes.
// Those that are null, undefined or false are left out.
export function h(name, properties, ...children) {
  return fill(document.createElement(name), properties, children);
}

// s makes an SVG element.
export function s(name, properties, ...children) {
  return fill(document.createElementNS(svgNamespace, name), properties, children);
}

function fill(element, properties, children) {
  for (const [key, value] of Object.entries(properties ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith('on')) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? '' : value);
  }
  append(element, children);
  return element;
}

function append(element, children) {
  for (const child of children.flat()) {
    if (child !== null && child !== undefined && child !== false) element.append(child);
  }
}

// text changes the text of an element if it differs. An unchanged text is not laid out or read out
// again.
export function text(element, value) {
  if (element.textContent !== value) element.textContent = value;
}

// prose changes the text of an element as text does. What stands in backquotes becomes code, whose
// lines break between its words alone.
export function prose(element, value) {
  if (element.prose === value) return;
  element.prose = value;
  element.replaceChildren(...value.split('`').map((part, i) => (i % 2 ? h('code', null, part.split(' ').flatMap((word) => [' ', h('span', null, word)]).slice(1)) : part)).filter(Boolean));
}

// mark changes an attribute if its value differs.
export function mark(element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

// toast shows a message for some seconds. A fault stays longer. A click, or too many later
// messages, removes it sooner.
export function toast(message, level) {
  const box = document.getElementById('toasts');
  const note = h('div', { 'data-level': level, onclick: () => note.remove() }, message);
  box.append(note);
  while (box.children.length > 3) box.firstChild.remove();
  setTimeout(() => note.remove(), level === 'bad' ? 12000 : 4000);
}

// dialog opens a modal form. Escape and Cancel close it. Enter and the button call confirm with the
// form and then close it. If confirm throws, the form stays and shows the error. dialog returns the
// parts that a caller may change.
export function dialog({ title, body, action, danger, confirm }) {
  const fault = h('p', { class: 'note', 'data-level': 'bad', role: 'alert', hidden: true });
  const go = h('button', { type: 'submit', class: danger ? 'danger' : 'primary' }, action);
  const box = h('dialog', { 'aria-labelledby': 'dialog-title', onclose: () => box.remove() },
    h('form', { method: 'dialog', onsubmit: submit },
      h('h2', { id: 'dialog-title' }, title), body, fault,
      h('div', { class: 'buttons' }, h('button', { type: 'button', onclick: () => box.close() }, 'Cancel'), go)));
  async function submit(event) {
    event.preventDefault();
    if (go.disabled) return;
    go.disabled = true;
    fault.hidden = true;
    try {
      await confirm(event.target);
      box.close();
    } catch (error) {
      fault.hidden = false;
      text(fault, error.message);
      go.disabled = false;
    }
  }
  document.body.append(box);
  box.showModal();
  return { box, go };
}
