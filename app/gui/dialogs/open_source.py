"""To choose what to look at: a camera, a screen, a file, an address, a test scene; with a preview."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final, Literal, TypeAlias

from PyQt6.QtCore import QSize, Qt, pyqtSignal
from PyQt6.QtGui import QShowEvent
from PyQt6.QtWidgets import (
    QCheckBox,
    QDialog,
    QDialogButtonBox,
    QGridLayout,
    QLabel,
    QListWidgetItem,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from framehook.app.cameras import Camera, list_cameras
from framehook.app.gui.bridge import Bridge
from framehook.app.gui.dialogs.source_pages import (
    AddressPage,
    CamerasPage,
    ChoiceList,
    FilesPage,
    Page,
    ScenePage,
    ScreensPage,
)
from framehook.app.gui.icons import icon, without_icons
from framehook.app.gui.preview_pane import PreviewPane
from framehook.app.gui.settings_store import Store
from framehook.app.session.slots import devices_of
from framehook.inference.sources import Screen, Source, list_screens
from framehook.inference.sources.single import is_camera

Kind: TypeAlias = Literal["camera", "screen", "file", "address", "scene"]
"""What to begin with."""
_NARROW: Final = 150  # pixels, where no name of a kind needs more


class OpenSourceDialog(QDialog):
    """Tells what the user chooses to open.

    What is previewed is let go of before `chosen` tells of it, since a camera is given to one at a time; the window does not
    wait for that.
    """

    chosen = pyqtSignal(object, bool)
    """What `Session.open` takes, and whether to show it beside what is open; from a while after the dialog was closed."""

    _free = pyqtSignal()

    def __init__(
        self,
        bridge: Bridge,
        parent: QWidget | None,
        store: Store,
        *,
        kind: Kind = "camera",
        add: bool = False,
        cameras: Callable[[], list[Camera]] = list_cameras,
        screens: Callable[[], list[Screen]] = list_screens,
        make: Callable[[Any], Source] | None = None,
        platform: str = sys.platform,
    ) -> None:
        """Make it.

        Args:
            bridge: Knows what is open.
            parent: The window.
            store: What was opened before.
            kind: The page to begin with.
            add: Whether it is to be opened beside what is open, where something is.
            cameras: Lists the cameras.
            screens: Lists the screens.
            make: Opens what is previewed; as for `Preview`.
            platform: As `sys.platform`: only on Linux can cameras be listed.
        """
        super().__init__(parent)
        self._bridge = bridge
        self._store = store
        self._wanted: tuple[Any, bool] | None = None
        self._free.connect(self._tell_chosen)
        self.setWindowTitle("Open source")
        self._pages: dict[Kind, Page] = {
            "camera": CamerasPage(cameras, platform),
            "screen": ScreensPage(screens),
            "file": FilesPage(store),
            "address": AddressPage(store),
            "scene": ScenePage(),
        }
        self._kinds = ChoiceList()
        self._kinds.setAccessibleName("Kind of source")
        self._kinds.setIconSize(QSize(24, 24))
        self._stack = QStackedWidget()
        self._about = QLabel()
        self._about.setWordWrap(True)
        for page in self._pages.values():
            item = QListWidgetItem(icon(page.sign), page.title)
            item.setToolTip(page.about)
            self._kinds.addItem(item)
            self._stack.addWidget(page)
            page.changed.connect(partial(self._page_changed, page))
            page.activated.connect(self._open_chosen)
        self._kinds.setFixedWidth(max(_NARROW, self._kinds.sizeHintForColumn(0) + 2 * self._kinds.frameWidth()))
        self._preview = PreviewPane(make=make)
        self._preview.told.connect(self._tell)
        self._facts = QLabel()
        self._facts.setMinimumHeight(self.fontMetrics().height())  # so that nothing moves when there are some
        self._beside = QCheckBox("Show it &beside what is open")
        self._beside.setToolTip("Otherwise it takes the place of what is open")
        usual = QDialogButtonBox.StandardButton
        self._buttons = without_icons(QDialogButtonBox(usual.Open | usual.Cancel))
        self._buttons.accepted.connect(self._open_chosen)
        self._buttons.rejected.connect(self.reject)
        self._open = self._buttons.button(usual.Open)
        if self._open is not None:
            self._open.setDefault(True)
            self._open.setToolTip("Open it (Enter)")

        right = QVBoxLayout()
        right.addWidget(self._about)
        right.addWidget(self._stack, 2)
        right.addWidget(self._preview, 3)
        right.addWidget(self._facts)
        whole = QGridLayout(self)
        whole.setHorizontalSpacing(12)
        whole.addWidget(self._kinds, 0, 0)
        whole.addLayout(right, 0, 1)
        whole.addWidget(self._beside, 1, 0, 1, 2)
        whole.addWidget(self._buttons, 2, 0, 1, 2)
        whole.setColumnStretch(1, 1)
        self.resize(780, 600)

        bridge.state_changed.connect(self._offer_beside)
        self._offer_beside()
        self._beside.setChecked(add and self._beside.isEnabled())
        self._kinds.currentRowChanged.connect(self._turn)
        self._kinds.setCurrentRow(list(self._pages).index(kind))

    @property
    def page(self) -> Page:
        """The page that is shown."""
        page = self._stack.currentWidget()
        assert isinstance(page, Page)
        return page

    def show_page(self, kind: Kind) -> None:
        """Show the page of a kind."""
        self._kinds.setCurrentRow(list(self._pages).index(kind))

    def showEvent(self, event: QShowEvent | None) -> None:
        super().showEvent(event)
        proxy = self.page.focusProxy()
        (proxy or self._kinds).setFocus(Qt.FocusReason.OtherFocusReason)

    def done(self, result: int) -> None:
        # Whichever way it is closed, the camera is free for others from now on.
        self._preview.close_preview()
        for page in self._pages.values():
            page.leave()
        super().done(result)

    def _turn(self, row: int) -> None:
        self._stack.setCurrentIndex(row)
        self._about.setText(f"{self.page.about}.")
        self.page.enter()
        self._page_changed(self.page)

    def _page_changed(self, page: Page) -> None:
        if page is not self._stack.currentWidget():
            return
        spec = page.preview()
        if spec is not None and self._is_held(spec):
            self._preview.show_spec(None, "It is open already; opening it again starts it anew.")
        else:
            self._preview.show_spec(spec, page.reason())
        self._tell()

    def _tell(self) -> None:
        self._facts.setText(self._preview.about)
        if self._open is not None:
            self._open.setEnabled(self.page.spec() is not None)

    def _is_held(self, spec: Any) -> bool:
        """Whether the session has the camera that would be shown, so that nobody else can have it."""
        held = {device for slot in self._bridge.state.slots for device in devices_of(slot.spec)}
        return is_camera(spec) and not held.isdisjoint(devices_of(spec))

    def _offer_beside(self) -> None:
        some = bool(self._bridge.state.slots)
        self._beside.setEnabled(some)
        if not some:
            self._beside.setChecked(False)

    def _open_chosen(self) -> None:
        spec = self.page.spec()
        if spec is None or self._wanted is not None:
            return
        self.page.remember(self._store)
        self._wanted = list(spec) if isinstance(spec, tuple) else spec, self._beside.isChecked()
        if is_camera(spec):
            self._preview.close_preview(self._be_free)
        self.accept()
        if not is_camera(spec):
            self._tell_chosen()

    def _be_free(self) -> None:
        """From any thread: nobody here holds the camera any more."""
        with suppress(RuntimeError):  # the window is gone, and with it who would open it
            self._free.emit()

    def _tell_chosen(self) -> None:
        wanted, self._wanted = self._wanted, None
        if wanted is not None:
            self.chosen.emit(*wanted)
