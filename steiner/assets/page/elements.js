/* Makes elements. What a model or a person wrote is only ever set as text, never as markup. */

export function make(name, properties = {}, ...children) {
  const { data = {}, aria = {}, role, ...own } = properties;
  const element = Object.assign(document.createElement(name), own);
  Object.assign(element.dataset, data);
  if (role) element.setAttribute("role", role);
  for (const [key, value] of Object.entries(aria)) element.setAttribute(`aria-${key}`, value);
  element.append(...children);
  return element;
}

export function counted(number, one, many = `${one}s`) {
  return `${number.toLocaleString("en")} ${number === 1 ? one : many}`;
}

export const isCalm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
