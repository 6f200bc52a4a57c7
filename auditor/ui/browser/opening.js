// Panels beside the card: opened, closed with their own key or Escape, and the card has the focus again.

export const back = (card) => card.root.focus({ preventScroll: true });

export const close = (card) => { card.ticks = null; card.extra.replaceChildren(); delete card.extra.dataset.panel; back(card); };

// Opens a panel of the item on screen, or closes it where it is open; true where it was opened.
export const opened = (card, name, ...children) => {
  if (card.extra.dataset.panel === name) { close(card); return false; }
  card.extra.dataset.panel = name;
  card.extra.replaceChildren(...children);
  card.extra.scrollIntoView({ block: "nearest" });
  return true;
};
