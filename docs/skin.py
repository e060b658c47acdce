"""How the pages of the site look: one style sheet, two small scripts, one shell. Nothing is fetched from elsewhere."""

from __future__ import annotations

from html import escape

from anyvlm.anatomy.svg import DARK, FONT, LIGHT, variables

NAV = (
    ("index.html", "Systems"), ("mechanisms.html", "Mechanisms"), ("ledger.html", "Ledger"), ("start.html", "Start"),
    ("add.html", "Add a system"), ("words.html", "Words"), ("benchmarks.html", "Benchmarks"),
)  # fmt: skip

CSS = f"""
:root{{color-scheme:light dark;{variables(LIGHT)}--link:#1d4fa8;--good:#15803d;
--mono:ui-monospace,'SF Mono',Menlo,Consolas,monospace}}
@media (prefers-color-scheme:dark){{:root{{{variables(DARK)}--link:#8db8ff;--good:#4ade80}}}}
*{{box-sizing:border-box}}
html{{-webkit-text-size-adjust:100%;scroll-behavior:smooth}}
body{{margin:0;background:var(--paper);color:var(--ink);font:16px/1.55 {FONT}}}
header{{border-bottom:1px solid var(--line);background:var(--panel)}}
header div{{max-width:1320px;margin:auto;padding:.7rem 1.25rem;display:flex;flex-wrap:wrap;gap:.2rem 1.2rem;
align-items:baseline}}
header b{{font-size:1.15rem;margin-right:.6rem}} header b a{{color:var(--ink)}}
header a[aria-current]{{color:var(--ink);font-weight:600}}
main{{max-width:1320px;margin:auto;padding:1rem 1.25rem 4rem}}
a{{color:var(--link);text-decoration:none}} a:hover{{text-decoration:underline}}
h1{{font-size:2rem;line-height:1.2;margin:.8rem 0 .4rem}} h2{{font-size:1.3rem;margin:2.2rem 0 .6rem}}
h3{{font-size:1.05rem;margin:1.4rem 0 .4rem}}
p,ul,ol{{max-width:52rem}} .lead{{font-size:1.1rem;color:var(--soft);margin:.2rem 0 1rem}}
.soft{{color:var(--soft)}} .nowrap{{white-space:nowrap}}
code,pre,kbd{{font-family:var(--mono);font-size:.87em}} code{{background:var(--panel);padding:.1em .3em;border-radius:4px}}
pre{{background:var(--panel);border:1px solid var(--line);border-radius:8px;padding:.8rem 1rem;overflow-x:auto;line-height:1.5}}
pre code{{background:none;padding:0}} pre .special{{color:var(--series0)}} pre .image{{color:var(--series3)}}
pre .user{{font-weight:600}} .wrap{{white-space:pre-wrap;overflow-wrap:anywhere}}
.wide{{overflow-x:auto;margin:.6rem 0}}
table{{border-collapse:collapse;width:100%;font-size:.92rem}}
th,td{{text-align:left;vertical-align:top;padding:.38rem .9rem .38rem 0;border-bottom:1px solid var(--line)}}
th{{font-weight:600;color:var(--soft);white-space:nowrap}} td.n,th.n{{text-align:right;white-space:nowrap}}
table.facts th{{width:11rem}} table.facts td{{overflow-wrap:anywhere}}
thead th[data-k]{{cursor:pointer}} thead th[data-k]:hover{{color:var(--ink)}} th[aria-sort=ascending]::after{{content:" ↑"}}
th[aria-sort=descending]::after{{content:" ↓"}}
.mark{{display:inline-block;border-radius:99px;padding:.05rem .6rem;font-size:.82rem;border:1px solid var(--line);
color:var(--soft);white-space:nowrap}}
.mark.built{{border-color:var(--good);color:var(--good)}}
.filters{{display:flex;flex-wrap:wrap;align-items:center;gap:.6rem;margin:1rem 0}}
input,select{{font:inherit;color:inherit;background:var(--paper);border:1px solid var(--text);border-radius:8px;
padding:.4rem .7rem}}
input[type=search]{{flex:1 1 16rem;max-width:28rem}}
:focus-visible{{outline:2px solid var(--link);outline-offset:2px}}
.drawing{{overflow-x:auto;border:1px solid var(--line);border-radius:10px;margin:.8rem 0}}
.drawing svg{{display:block;min-width:900px}}
.bar{{display:flex;height:.7rem;border-radius:99px;overflow:hidden;background:var(--free);max-width:32rem}}
.bar i{{background:var(--good)}} .bar i+i{{background:var(--text)}}
summary{{cursor:pointer;color:var(--link);margin:.6rem 0}}
[hidden]{{display:none!important}}
table.beside td{{min-width:13rem;overflow-wrap:anywhere}} table.beside b{{color:var(--soft);font-weight:600}}
table.beside td:first-child{{min-width:10rem}} table.sizes td:nth-child(4),table.sizes td:last-child{{min-width:8.5rem}}
@media (max-width:640px){{
body{{font-size:15px}} h1{{font-size:1.6rem}} .narrow{{display:none}} main{{padding:.6rem .9rem 3rem}}
table.facts th{{width:auto;padding-right:.7rem;white-space:normal}} header div{{padding:.6rem .9rem}}
.drawing svg{{min-width:760px}} .filters select{{flex:1 1 8rem}}
.drawing::before{{content:"drag sideways";display:block;color:var(--soft);font-size:.8rem;padding:.2rem .7rem}}}}
@media print{{header,.filters{{display:none}}}}
"""

FILTER = """
const all=x=>[...document.querySelectorAll(x)],q=all('[data-q]')[0],n=all('[data-n]')[0],s=all('select[data-f]');
const rows=all('tbody tr[data-t]'),from=new URLSearchParams(location.hash.slice(1)),key=e=>e.dataset.f||'q';
const has=(r,e)=>!e.value||(' '+r.dataset[e.dataset.f]+' ').includes(' '+e.value+' ');
function go(){
  const words=q.value.toLowerCase().split(/\\s+/).filter(Boolean);let shown=0;
  for(const r of rows){const ok=words.every(x=>r.dataset.t.includes(x))&&s.every(e=>has(r,e));r.hidden=!ok;shown+=ok}
  n.textContent=shown+' of '+rows.length}
for(const e of [q,...s]){
  if(from.get(key(e)))e.value=from.get(key(e));
  e.addEventListener('input',()=>{
    go();const h=new URLSearchParams();for(const o of [q,...s])if(o.value)h.set(key(o),o.value);
    history.replaceState(null,'','#'+h)})}
go();
"""
SORT = """
for(const h of document.querySelectorAll('thead th[data-k]')){
  h.tabIndex=0;
  const sort=()=>{
    const body=h.closest('table').tBodies[0],heads=[...h.parentNode.children],i=heads.indexOf(h);
    const up=h.getAttribute('aria-sort')!=='ascending';
    for(const o of heads)o.removeAttribute('aria-sort');
    h.setAttribute('aria-sort',up?'ascending':'descending');
    const value=r=>{const c=r.children[i];return !c?'':'v' in c.dataset?+c.dataset.v:c.textContent.trim().toLowerCase()};
    const order=(x,y)=>{const a=value(x),b=value(y);return (a<b?-1:a>b?1:0)*(up?1:-1)};
    [...body.rows].sort(order).forEach(r=>body.append(r))};
  h.addEventListener('click',sort);h.addEventListener('keydown',e=>{if(e.key==='Enter')sort()})}
"""


def page(title: str, body: str, *, at: str, scripts: str = "") -> str:
    """A whole page. `at`: its own address from the site's root, for links back to it."""
    up = "../" * at.count("/")
    links = "".join(
        f'<a href="{up}{address}"{" aria-current=page" if address == at else ""}>{name}</a>' for address, name in NAV
    )
    script = f"<script>{scripts}</script>" if scripts else ""
    head = f'<header><div><b><a href="{up}index.html">anyvlm</a></b>{links}</div></header>'
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)} · anyvlm</title>'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><style>{CSS}</style></head><body>'
        f"{head}<main>{body}</main>{script}</body></html>\n"
    )


def table(
    head: list[str], lines: list[list[str]], *, numbers: tuple[int, ...] = (), sorts: bool = False, style: str = ""
) -> str:
    """Cells are HTML. `numbers`: columns set to the right; a cell "12|3.4 M" of one sorts by what stands before the bar."""
    cells = [f'<th{" class=n" if n in numbers else ""}{" data-k" if sorts else ""}>{name}</th>' for n, name in enumerate(head)]
    body = "".join(f"<tr>{''.join(_cell(cell, n in numbers) for n, cell in enumerate(line))}</tr>" for line in lines)
    top = f"<thead><tr>{''.join(cells)}</tr></thead>"
    return f'<div class="wide"><table class="{style}">{top}<tbody>{body}</tbody></table></div>'


def _cell(cell: str, number: bool) -> str:
    if not number:
        return f"<td>{cell}</td>"
    value, bar, shown = cell.partition("|")
    return f'<td class="n" data-v="{value}">{shown}</td>' if bar else f'<td class="n">{cell}</td>'


def listed(facts: list[tuple[str, str]]) -> str:
    """A table of names and what is said of them, in HTML; empty ones are left out."""
    lines = "".join(f"<tr><th>{name}</th><td>{words}</td></tr>" for name, words in facts if words)
    return f'<div class="wide"><table class="facts"><tbody>{lines}</tbody></table></div>'
