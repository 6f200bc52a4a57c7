// Where the focus is when the page changes under it. Streamlit leaves it where it was: on a link whose page has come, on a
// button whose popover stands at the end of the document, nowhere once a popover is closed.
if (!window.auditorFocus) {
  const POPOVER = "[data-testid=stPopoverBody]", HEADING = "h1.page-name", NAME = 'input[aria-label="Name"]';
  const before = window.auditorFocus = { heading: null, popover: null, opener: null, name: null, escaped: false };

  const enter = (node) => {
    node.tabIndex = -1;
    node.focus({ preventScroll: true });
  };
  const onLink = () => document.activeElement?.matches("[data-testid=stTopNavLink], [data-testid=stPageLink-NavLink]");

  const look = () => {
    const heading = document.querySelector(HEADING)?.textContent, popover = document.querySelector(POPOVER), name = document.querySelector(NAME);
    // A link was followed: its page is read from the beginning, and the keys are the page's.
    if (heading && before.heading && heading !== before.heading && (onLink() || document.activeElement === document.body)) enter(document.querySelector(HEADING));
    if (heading) before.heading = heading;
    // Not the first field of a popover: on a telephone that would bring up the keyboard.
    if (popover && popover !== before.popover) {
      before.opener = document.activeElement;
      enter(popover);
    } else if (!popover && before.popover && before.escaped && document.activeElement === document.body) before.opener?.focus();
    before.popover = popover;
    if (name && name !== before.name) name.focus();
    before.name = name;
  };

  // Whoever closes a popover by a click elsewhere wants to be there.
  document.addEventListener("keydown", (event) => { before.escaped = event.key === "Escape"; }, true);
  document.addEventListener("pointerdown", () => { before.escaped = false; }, true);

  // The components draw in roots of their own, whose changes are not seen here: no verdict waits for this.
  new MutationObserver(look).observe(document.body, { childList: true, subtree: true, characterData: true });
  look();
}
