"""Running queries over time as one SVG, a panel a case, written by hand."""

from html import escape

WIDTH, HEIGHT = 460, 190  # of a panel
LEFT, RIGHT, TOP, BOTTOM = 36, 12, 40, 26
COLUMNS = 2
QUOTA = "#999999"
COLORS = ["#0b6e4f", "#d95f02", "#7570b3", "#1f78b4"]


def nice_step(span, most=6):
    """A round distance between ticks, so that there are at most so many."""
    step = 1
    while span / step > most:
        step = step * 2 if str(step)[0] in "15" else step * 5 // 2
    return step


def stairs(points, x, y, end):
    """An SVG path of a count that holds until the next change; one change a half pixel at most."""
    path, last_x, count = [], None, 0
    for at, value in [*points, (end, None)]:
        here = round(x(min(at, end)) * 2) / 2
        if here != last_x:
            path.append(f"H{here:g}" if path else f"M{here:g} {y(count):.1f}")
            last_x = here
        count = count if value is None else value
        if value is not None:
            path.append(f"V{y(count):.1f}")
    return "".join(path)


def panel(title, steps, curves):
    """`steps`: the quota; `curves`: [(name, [(time, running)])]. A list of SVG elements."""
    end = max([1.0, *(at for _, points in curves for at, _ in points)])
    most = max(slots for _, slots in steps)
    top = 1.15 * max([most, *(n for _, points in curves for _, n in points)])

    def x(at):
        return LEFT + (WIDTH - LEFT - RIGHT) * at / end

    def y(count):
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * count / top

    out = [f'<text x="{LEFT}" y="15" class="title">{escape(title)}</text>']
    for count in range(0, int(top) + 1, nice_step(top, 5)):
        out.append(f'<path d="M{LEFT} {y(count):.1f}H{WIDTH - RIGHT}" class="grid"/>')
        out.append(f'<text x="{LEFT - 5}" y="{y(count) + 4:.1f}" class="end">{count}</text>')
    for at in range(0, int(end) + 1, nice_step(end)):
        unit = " s" if at == 0 else ""
        out.append(f'<text x="{x(at):.1f}" y="{HEIGHT - 9}" class="middle">{at}{unit}</text>')
    quota = stairs(steps, x, y, end)
    out.append(f'<path d="{quota}" stroke="{QUOTA}" stroke-dasharray="4 3"/>')
    for i, (_, points) in reversed(list(enumerate(curves))):  # the first on top
        line = stairs(points, x, y, end)
        out.append(f'<path d="{line}" stroke="{COLORS[i % len(COLORS)]}" stroke-width="1.3"/>')
    at = LEFT
    for i, name in enumerate([name for name, _ in curves] + ["quota"]):
        color = QUOTA if name == "quota" else COLORS[i % len(COLORS)]
        out.append(f'<text x="{at}" y="30" fill="{color}">{escape(name)}</text>')
        at += 7 * len(name) + 14
    return out


def write_chart(path, panels):
    rows = -(-len(panels) // COLUMNS)
    width, height = COLUMNS * WIDTH, rows * HEIGHT
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" font-family="sans-serif" font-size="11">',
        "<style>path{fill:none}.grid{stroke:#e8e8e8}.title{font-weight:bold;font-size:12px}"
        ".end{text-anchor:end}.middle{text-anchor:middle}</style>",
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for i, (title, steps, curves) in enumerate(panels):
        place = f"{i % COLUMNS * WIDTH},{i // COLUMNS * HEIGHT}"
        out += [f'<g transform="translate({place})">', *panel(title, steps, curves), "</g>"]
    path.write_text("\n".join([*out, "</svg>", ""]))
