#!/usr/bin/env python3
"""Draws docs/images/se_block.svg: the dispatches of one SE bottleneck, unfused and fused, as the plans have them.

    cargo build --release --features cli
    python3 tools/se_block_image.py target/release/excite > docs/images/se_block.svg
"""
import html
import json
import subprocess
import sys

NETWORK, BLOCK, BATCH = "seresnet50", "layer2.1", "32"
# What a dispatch does, by the folder of its shader.
COLOURS = {"conv2d": "#c6dbef", "squeeze_excite": "#fdd0a2", "elementwise": "#dadaeb"}
ROW, WIDTH, LEFT, TOP = 30, 330, 24, 64


def dispatches(program, fusion):
    """Name, shader and megabytes of each dispatch of the block, and what its regions say of them."""
    command = [program, "plan", NETWORK, "--batch", BATCH, "--fusion", fusion, "--json", "--explain"]
    plan = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    said = {}
    for region in plan["regions"]:
        for index in region["dispatches"]:
            said[index] = region
    rows = []
    for index, step in enumerate(plan["steps"]):
        if step["name"].startswith(BLOCK + "."):
            then = said[index]["then"] if index in said else []
            rows.append((step["name"][len(BLOCK) + 1 :], step["kernel"], step["bytes_moved"] / 1e6, then))
    return rows


def column(x, title, rows):
    total = sum(row[2] for row in rows)
    yield f'<text x="{x}" y="26" class="title">{title}</text>'
    yield f'<text x="{x}" y="46">{len(rows)} dispatches, {total:.0f} MB moved</text>'
    y = TOP
    for name, shader, megabytes, then in rows:
        height = ROW + 14 * (len(then) > 0)
        colour = COLOURS.get(shader.split("/")[0], "#e5e5e5")
        yield f'<rect x="{x}" y="{y}" width="{WIDTH}" height="{height - 4}" rx="4" fill="{colour}"/>'
        yield f'<text x="{x + 8}" y="{y + 17}">{html.escape(name)}</text>'
        yield f'<text x="{x + WIDTH - 8}" y="{y + 17}" text-anchor="end">{megabytes:.1f} MB</text>'
        if then:
            yield f'<text x="{x + 8}" y="{y + 32}" class="small">{html.escape(short(then))}</text>'
        y += height


def short(then):
    text = "+ " + "; ".join(part.split(",")[0] for part in then)
    return text if len(text) <= 60 else text[:57] + "..."


def main():
    columns = [("One dispatch for each op", dispatches(sys.argv[1], "none")), ("Fused", dispatches(sys.argv[1], "full"))]
    tallest = max(sum(ROW + 14 * (len(row[3]) > 0) for row in rows) for _, rows in columns)
    width, height = 2 * WIDTH + 3 * LEFT, TOP + tallest + 30
    print(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
          ' font-family="sans-serif" font-size="13">')
    print("<style>.title{font-size:16px;font-weight:bold}.small{font-size:11px;fill:#444}</style>")
    print(f'<rect width="{width}" height="{height}" fill="white"/>')
    for index, (title, rows) in enumerate(columns):
        print("\n".join(column(LEFT + index * (WIDTH + LEFT), title, rows)))
    print(f'<text x="{LEFT}" y="{height - 10}" class="small">{NETWORK}, block {BLOCK}, {BATCH} images of 224x224, f32, '
          "planned for a discrete GPU. Blue: convolutions; orange: SE.</text>")
    print("</svg>")


if __name__ == "__main__":
    main()
