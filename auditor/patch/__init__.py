"""Label patches: share, check, apply and take back corrections of labels, anchored by the content of the items."""
