"""The style sheet of mhp show's page, for desktop and phone, without external fonts or files."""

STYLE = """
:root { color-scheme: light; --ink: #1b1f24; --muted: #5b636c; --line: #d5dae0; }
* { box-sizing: border-box; }
body { margin: 0; color: var(--ink); background: #f6f7f9; font: 16px/1.5 system-ui, "DejaVu Sans", sans-serif; }
header, main { max-width: 1200px; margin: 0 auto; padding: 0 20px; }
header { padding-top: 28px; }
h1 { margin: 0; font-size: 30px; overflow-wrap: anywhere; }
h2 { margin: 0 0 4px; font-size: 21px; }
header p, section > p, figcaption { color: var(--muted); }
header p, section > p { margin: 0 0 14px; }
section { margin: 20px 0; padding: 20px; background: #fff; border: 1px solid var(--line); border-radius: 8px; }
figure { margin: 0; min-width: 0; }
figcaption { font-size: 14px; overflow-wrap: anywhere; }
img { display: block; width: 100%; height: auto; border: 1px solid var(--line); }
.row { display: grid; grid-template-columns: repeat(3, minmax(0, 1fr)); gap: 12px; margin-top: 16px; }
.scroll, pre { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 4px 14px; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line); }
th:first-child { padding-left: 0; text-align: left; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 16px; margin: 0; padding: 0; list-style: none; font-size: 14px; }
.legend i { display: inline-block; width: 20px; height: 13px; margin-right: 6px; border: 1px solid var(--line); }
pre { margin: 0; padding: 14px; background: #f6f7f9; border-radius: 6px; font-size: 13px; }
@media (max-width: 640px) {
  header, main { padding: 0 10px; }
  header { padding-top: 16px; }
  section { padding: 14px; }
  .row { grid-template-columns: 1fr; }
}
"""
