"""How a person uses a page: with the mouse or a finger, or by the keyboard alone."""

from __future__ import annotations

MOST_STEPS = 400


class Mouse:
    """Points at what it wants."""

    def __init__(self, page):
        self.page = page

    def press(self, target):
        """Press, and look again when what it leads to is there: a page comes in parts."""
        target.click()
        self.page.wait_for_load_state()

    def fill(self, target, text):
        target.fill(text)

    def choose(self, target):
        target.check()

    def link(self, name, **how):
        self.press(self.page.get_by_role("link", name=name, **how).first)

    def button(self, name, **how):
        self.press(self.page.get_by_role("button", name=name, **how).first)


class Keyboard(Mouse):
    """Goes from one thing to the next by Tab until it is where it wants to be."""

    def reach(self, target):
        for _ in range(MOST_STEPS):
            if target.evaluate("one => one === document.activeElement"):
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"no way by Tab to {target}")

    def press(self, target):
        self.reach(target)
        self.page.keyboard.press("Enter")
        self.page.wait_for_load_state()

    def fill(self, target, text):
        self.reach(target)
        self.page.keyboard.press("Control+A")
        self.page.keyboard.type(text)

    def choose(self, target):
        """A box is ticked by the space bar; the arrows go through the buttons of one question."""
        if target.get_attribute("type") == "checkbox":
            self.reach(target)
            self.page.keyboard.press("Space")
        else:
            self.reach(self.page.locator(f"input[name='{target.get_attribute('name')}']").first)
            self.page.keyboard.press("Space")
            while not target.is_checked():
                self.page.keyboard.press("ArrowDown")
        assert target.is_checked()
