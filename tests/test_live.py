"""The explorers in a running JupyterLab, in a real browser: sliders change the picture."""

import functools
import io
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import nbformat
import numpy as np
import pytest
from convert_notebooks import ROOT, convert
from PIL import Image
from playwright.sync_api import expect

pytestmark = pytest.mark.live

# What chapters 5 and 10 to 11 show that is no widget, in a notebook that needs no chapter's data.
WITHOUT_WIDGETS = """
import numpy as np
import pandas as pd

from helpers import show
from helpers.show.charts import Curve

values = pd.Series([0.5, 0.7, 0.9], index=[1, 2, 3])
curve = Curve("a method", "#0072b2", "#56b4e9", values, False, 0)
show.chart([curve], title="Score", caption="Rising.", alt="A line that rises.", name="live")
---
corners = np.array([[0, 0, 0], [0, 0, 1], [0, 1, 0], [1, 0, 0]])
sides = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
show.surface(corners, sides, caption="A corner.", alt="A tetrahedron", name="live")
"""
DRAWING = """
from helpers import data, strokes
from helpers.phantom import Phantom

stack = data.phantom_stack(Phantom(shape=(24, 250, 250), voxel_nm=(600, 80, 80)))
area = strokes.draw(stack, (12, 14))
area
"""
CHAPTERS = sorted(
    path.stem
    for path in (ROOT / "notebooks").glob("*.md")
    if re.search(r"^(show\.)?explorer\(", path.read_text(encoding="utf-8"), re.MULTILINE)
)
START_S, RUN_S, REDRAW_S = 180, 300, 2
# Cells that are out of sight are in the page too.
SETTINGS = {"@jupyterlab/notebook-extension/tracker": '{"windowingMode": "none"}'}
FRAME = ".widget-html-content:has(> img)"  # it stays when the picture in it is another one
# What comes after the last explorer is the same without a kernel: make test-notebooks executes it.
RUN_TO_LAST_EXPLORER = """async () => {
    const app = window.jupyterapp;
    const panel = app.shell.currentWidget;
    await panel.context.ready;
    await panel.sessionContext.ready;
    const codes = [...panel.content.model.cells].map(cell => cell.sharedModel.getSource());
    const last = codes.findLastIndex(code => /^(show[.])?explorer[(]/m.test(code));
    panel.content.activeCellIndex = last + 1;
    await app.commands.execute("notebook:run-all-above");
}"""
RUN_ALL = """async () => {
    const panel = window.jupyterapp.shell.currentWidget;
    await panel.context.ready;
    await panel.sessionContext.ready;
    await window.jupyterapp.commands.execute("notebook:run-all-cells");
}"""
PROBLEMS = """() => window.jupyterapp.shell.currentWidget.content.model.sharedModel.cells
    .flatMap(cell => cell.cell_type === "code" ? cell.getOutputs() : [])
    .filter(output => output.output_type === "error")
    .map(output => `${output.ename}: ${output.evalue}`)"""


@pytest.fixture(scope="module")
def notebooks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("notebooks")
    convert(folder, environment={})
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    for name, codes in {"without_widgets": WITHOUT_WIDGETS, "drawing": DRAWING}.items():
        cells = [nbformat.v4.new_code_cell(code.strip()) for code in codes.split("---")]
        notebook = nbformat.v4.new_notebook(cells=cells, metadata=kernel)
        nbformat.write(notebook, folder / f"{name}.ipynb")
    return folder


@pytest.fixture(scope="module")
def jupyter(tmp_path_factory, notebooks):
    """Start JupyterLab with settings and folders of its own; return its address and token."""
    own = tmp_path_factory.mktemp("jupyter")
    for name, content in SETTINGS.items():
        file = own / "settings" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {k: v for k, v in os.environ.items() if k != "HELA_STATIC"}
    environment |= {
        "HELA_PROFILE": "smoke",
        "HELA_SOURCE": "phantom",
        "HELA_DATA_DIR": str(own / "data"),
        "PYTHONPATH": str(ROOT),
        "JUPYTER_CONFIG_DIR": str(own / "config"),
        "JUPYTER_DATA_DIR": str(own / "share"),
        "JUPYTER_RUNTIME_DIR": str(own / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(own / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(own / "workspaces"),
        "IPYTHONDIR": str(own / "ipython"),
    }
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
    command += [f"--port={port}", "--ServerApp.port_retries=0", "--ServerApp.ip=127.0.0.1"]
    # Even a test's server runs no code for others on this computer.
    token = secrets.token_hex(16)
    command += [f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={notebooks}"]
    command += ["--LabApp.expose_app_in_browser=True", "--LabApp.news_url="]
    command += ["--LabApp.extension_manager=readonly"]  # it would start node to find a registry
    command += ["--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    log = own / "log.txt"
    with log.open("w") as out:
        server = subprocess.Popen(
            command, env=environment, stdout=out, stderr=out, start_new_session=True
        )
    address = f"http://127.0.0.1:{port}"
    try:
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        until = time.monotonic() + START_S
        while True:
            try:
                direct.open(f"{address}/api", timeout=5).close()
                break
            except OSError:
                if server.poll() is not None or time.monotonic() > until:
                    pytest.fail(f"JupyterLab does not answer:\n{log.read_text()[-3000:]}")
                time.sleep(0.3)
        yield address, token
    finally:
        # The kernels too: they are of the server's group.
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


@pytest.fixture
def lab(browser, jupyter):
    """Open a chapter, run it to its last explorer and return the page; end its kernel after."""
    address, token = jupyter
    page = browser.new_page(viewport={"width": 1280, "height": 1000})

    def run(name, what=RUN_TO_LAST_EXPLORER):
        page.goto(f"{address}/doc/tree/{name}.ipynb?reset&token={token}")
        page.wait_for_function(
            "() => window.jupyterapp?.shell.currentWidget?.context?.isReady", timeout=START_S * 1000
        )
        page.set_default_timeout(RUN_S * 1000)
        page.evaluate(what)
        assert page.evaluate(PROBLEMS) == []
        return page

    yield run
    page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
    page.close()


def pixels(picture):
    """Return what the browser shows of a picture."""
    return np.asarray(Image.open(io.BytesIO(picture.screenshot())).convert("RGB")).astype(int)


def differs(picture, before):
    """Return whether a picture looks different soon."""
    until = time.monotonic() + REDRAW_S
    while time.monotonic() < until:
        now = pixels(picture)
        if now.shape != before.shape or (abs(now - before) > 8).mean() > 1e-4:
            return True
        time.sleep(0.1)
    return False


def moves(control, picture):
    """Move a slider or drop-down list through its other positions; yield at each one's picture."""
    image, handle = picture.locator("img"), control.locator(".noUi-handle")
    if handle.count():
        handle.focus()
        low, now, high = (
            float(handle.get_attribute(f"aria-value{which}")) for which in ("min", "now", "max")
        )
        up, down = int(high - now), int(now - low)
        keys = ["ArrowRight"] * up + ["ArrowLeft"] * (up + down)
        acts = [functools.partial(handle.press, key) for key in keys]
    else:
        choice = control.locator("select")
        now = choice.evaluate("list => list.selectedIndex")
        others = [at for at in range(choice.locator("option").count()) if at != now]
        acts = [functools.partial(choice.select_option, index=at) for at in others]
    for act in acts:
        text = image.get_attribute("alt")
        act()
        # The text names the position: when it is another one, the kernel has answered.
        expect(image).not_to_have_attribute("alt", text, timeout=RUN_S * 1000)
        yield


@pytest.mark.parametrize("name", CHAPTERS)
def test_sliders_change_the_picture(lab, notebooks, name):
    page = lab(name)
    explorers = page.locator(".jupyter-widgets.widget-vbox", has=page.locator(FRAME))
    code = "\n".join(
        cell.source for cell in nbformat.read(notebooks / f"{name}.ipynb", as_version=4).cells
    )
    wanted = len(re.findall(r"^(?:show\.)?explorer\(", code, re.MULTILINE))
    expect(explorers).to_have_count(wanted, timeout=20_000)
    for explorer in explorers.all():
        explorer.scroll_into_view_if_needed()
        picture = explorer.locator(FRAME)
        assert picture.locator("img").get_attribute("alt").strip()
        controls = explorer.locator(".widget-slider, .widget-dropdown")
        assert controls.count() > 0
        for control in controls.all():
            for handle in control.locator(".noUi-handle").all():
                expect(handle).to_have_attribute("aria-label", re.compile(r"\w"))
                shown = control.locator(".widget-readout").inner_text()
                expect(handle).to_have_attribute("aria-valuetext", shown)
            before = pixels(picture)
            # A position may look like the one before it, but not all of them.
            assert any(differs(picture, before) for _ in moves(control, picture))
            for handle in control.locator(".noUi-handle").all():  # at its last position now
                shown = control.locator(".widget-readout").inner_text()
                expect(handle).to_have_attribute("aria-valuetext", shown)
            assert explorer.get_by_text("No picture at").count() == 0


def test_the_server_wants_its_token(jupyter):
    address, _ = jupyter
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with pytest.raises(urllib.error.HTTPError, match="403"):
        direct.open(f"{address}/api/contents", timeout=20)


def test_chart_and_surface_answer_without_a_widget(lab):
    page = lab("without_widgets", RUN_ALL)
    chart, body = page.locator("#chart-live"), page.locator("#surface-live")
    expect(chart.locator("output")).to_have_text("slice 2", timeout=20_000)
    chart.locator("input[type=range]").press("ArrowRight")
    expect(chart.locator("output")).to_have_text("slice 3")
    expect(chart.locator(".hela-value")).to_have_text("0.900")
    chart.locator("summary").click()
    expect(chart.locator("tbody tr")).to_have_count(3)
    canvas = body.locator("canvas")
    canvas.scroll_into_view_if_needed()
    body.get_by_role("button", name="Stop").click()
    before = pixels(canvas)
    assert (abs(before - before[0, 0]).max(axis=-1) > 30).mean() > 0.02, "something is drawn"
    canvas.press("ArrowRight")
    assert differs(canvas, before)


def drag(page, box, *points):
    """Draw a line through points, in shares of a box's width and height."""
    (x, y), *others = [
        (box["x"] + across * box["width"], box["y"] + down * box["height"])
        for across, down in points
    ]
    page.mouse.move(x, y)
    page.mouse.down()
    for x, y in others:
        page.mouse.move(x, y, steps=5)
    page.mouse.up()


def test_strokes_are_drawn_and_answered(lab):
    page = lab("drawing", RUN_ALL)
    area = page.locator(".hela-draw")
    canvas, says = area.locator("canvas"), area.locator("output")
    expect(says).to_contain_text("Draw on the nucleus", timeout=20_000)
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    before = pixels(canvas)
    drag(page, box, (0.45, 0.5), (0.55, 0.55))
    assert differs(canvas, before)
    area.get_by_label("cell").check()
    start = time.monotonic()
    drag(page, box, (0.5, 0.22), (0.6, 0.24))
    expect(says).to_contain_text("after 2 strokes", timeout=20_000)
    assert time.monotonic() - start < 2 + 3, "two seconds, and time to draw on a busy computer"
    picture = area.locator("img")
    expect(picture).to_have_attribute("alt", re.compile("as the forest labels it"))
    # By keyboard: another class, and a stroke with arrows and the space bar.
    canvas.press("4")
    for key in ("ArrowUp",) * 20 + (" ", "ArrowRight", "ArrowRight", " "):
        canvas.press(key)
    expect(says).to_contain_text("after 3 strokes", timeout=20_000)
    area.locator("select").select_option("12")
    expect(says).to_contain_text("Slice 12", timeout=20_000)
    area.get_by_role("button", name="Undo").click()
    expect(says).to_contain_text("after 2 strokes", timeout=20_000)
    area.get_by_label("show the answer").uncheck()
    expect(picture).to_have_attribute("alt", "Slice 12")
