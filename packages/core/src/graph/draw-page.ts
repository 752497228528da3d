/** Style of the page that `drawGraph` makes. */
export const drawStyle = `
:root{color-scheme:light dark;--page:#fbfaf8;--ink:#24292f;--soft:#6b7280;--line:#a8b0bc;--box:#fff;
--kernel:#2f6fdb;--routine:#c2570c;--argument:#7c4dbd;--memory:#1f8a5b;--output:#b02a67}
@media(prefers-color-scheme:dark){:root{--page:#15181d;--ink:#e6e8eb;--soft:#98a1ae;--line:#566070;--box:#1e232b;
--kernel:#6ea3ff;--routine:#f59a52;--argument:#b894f0;--memory:#58c796;--output:#f07bb0}}
html,body{margin:0;height:100%}body{display:flex;flex-direction:column;overflow:hidden;background:var(--page);color:var(--ink);font:13px system-ui,sans-serif}
header{padding:10px 16px;color:var(--soft)}header b{color:var(--ink);margin-right:8px}
header i{display:inline-block;width:9px;height:9px;border-radius:3px;margin:0 4px 0 12px;background:currentColor}
svg{flex:1;min-height:0;cursor:grab;font-family:ui-monospace,'SF Mono',Menlo,Consolas,'DejaVu Sans Mono',monospace}
.kernel{--c:var(--kernel);color:var(--kernel)}.routine{--c:var(--routine);color:var(--routine)}
.argument{--c:var(--argument);color:var(--argument)}i.memory{color:var(--memory)}i.output{color:var(--output)}
.node>rect{fill:var(--box);stroke:var(--c);stroke-width:1.5}
.node:hover>rect:first-of-type{stroke-width:3}
text{fill:var(--ink);font-size:11px}.title{font-size:13px;font-weight:600;fill:var(--c)}.side,.foot{fill:var(--soft)}
.node>rect.chip{stroke:none;fill:color-mix(in srgb,var(--c) 13%,var(--box))}
.node>rect.memory{fill:color-mix(in srgb,var(--memory) 20%,var(--box))}
.node>rect.output{fill:color-mix(in srgb,var(--output) 20%,var(--box))}
.edge path{fill:none;stroke:var(--line);stroke-width:1.5}.edge text{fill:var(--soft);font-size:10px;paint-order:stroke;stroke:var(--page);stroke-width:3px}
marker path{fill:var(--line)}.edge.on path{stroke:var(--ink);stroke-width:2.5}.edge.on text{fill:var(--ink)}
`

/** Its script: the wheel zooms, dragging moves, and a box under the pointer lights up its arrows. */
export const drawScript = `
const svg=document.querySelector('svg'),box=svg.viewBox.baseVal
const at=e=>new DOMPoint(e.clientX,e.clientY).matrixTransform(svg.getScreenCTM().inverse())
svg.addEventListener('wheel',e=>{e.preventDefault();const p=at(e),k=Math.exp(e.deltaY/600)
box.x=p.x-(p.x-box.x)*k;box.y=p.y-(p.y-box.y)*k;box.width*=k;box.height*=k},{passive:false})
let held
svg.addEventListener('pointerdown',e=>{held=at(e);svg.setPointerCapture(e.pointerId)})
svg.addEventListener('pointerup',()=>{held=undefined})
svg.addEventListener('pointermove',e=>{if(!held)return;const p=at(e);box.x+=held.x-p.x;box.y+=held.y-p.y})
svg.addEventListener('pointerover',e=>{const n=e.target.closest('.node')?.dataset.node
for(const g of svg.querySelectorAll('.edge'))g.classList.toggle('on',n!==undefined&&(g.dataset.from===n||g.dataset.to===n))})
`
