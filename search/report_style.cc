// The look of a report: colours as variables for both themes, and a script for the hover text, the
// arrow keys and the theme. The script has no & and no <, so that the page stays well-formed XML.
#include "search/report_page.h"

namespace rhnas::search {

const char kReportStyle[] = R"css(
:root{--bg:#fff;--card:#f5f7f9;--ink:#16202b;--mut:#56626f;--line:#d5dbe1;--acc:#1d5fb8;--def:#6b7682;--good:#16724a;--bad:#ad3b1c;--org:#b85a06;--pur:#7442a8;--teal:#0d7377;--in:#fff;color-scheme:light}
@media(prefers-color-scheme:dark){:root:not([data-theme=light]){--bg:#10151b;--card:#182029;--ink:#e7ecf1;--mut:#a0adba;--line:#303b47;--acc:#74acff;--def:#97a3af;--good:#5fd09a;--bad:#ff9474;--org:#ffab5e;--pur:#c9a4ff;--teal:#5fcfd0;--in:#0c1116;color-scheme:dark}}
:root[data-theme=dark]{--bg:#10151b;--card:#182029;--ink:#e7ecf1;--mut:#a0adba;--line:#303b47;--acc:#74acff;--def:#97a3af;--good:#5fd09a;--bad:#ff9474;--org:#ffab5e;--pur:#c9a4ff;--teal:#5fcfd0;--in:#0c1116;color-scheme:dark}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Liberation Sans",sans-serif}
body>*{max-width:1120px;margin:0 auto;padding:0 20px}
header{padding-top:28px;display:flex;gap:16px;align-items:flex-start;justify-content:space-between}
h1{font-size:25px;line-height:1.25;margin:0 0 4px;font-weight:650;overflow-wrap:anywhere}
h2{font-size:19px;margin:0 0 8px;font-weight:650}
h3{font-size:13px;margin:0;color:var(--mut);font-weight:600}
section{padding:26px 0 6px;margin-top:22px;border-top:1px solid var(--line)}
nav{display:flex;flex-wrap:wrap;gap:4px 18px;padding-top:10px}
a{color:var(--acc)}
p{margin:6px 0 12px}
code,pre{font:13px/1.45 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;overflow-wrap:anywhere}
pre{background:var(--card);border:1px solid var(--line);border-radius:6px;padding:10px 12px;white-space:pre-wrap}
button{font:inherit;font-size:13px;color:var(--ink);background:var(--card);border:1px solid var(--line);border-radius:6px;padding:5px 11px;cursor:pointer;white-space:nowrap}
.muted,.vs,figcaption,small{color:var(--mut)}
.note{background:var(--card);border-left:4px solid var(--org);padding:8px 12px}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(180px,1fr));gap:12px;margin:18px 0}
.card{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:11px 13px}
.card p{margin:1px 0}
.big{font-size:25px;font-weight:650;line-height:1.25;letter-spacing:-.01em}
.big small{display:block;font-size:13px;font-weight:400;letter-spacing:0}
.good,.bad,.same,.vs{font-size:13px}
.good{color:var(--good);font-weight:600}.bad{color:var(--bad);font-weight:600}
.bars{margin-top:7px}
.bars i{display:block;height:5px;background:var(--acc);border-radius:2px;min-width:2px}
.bars i+i{background:var(--def);margin-top:3px}
.two{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,420px),1fr));gap:4px 34px}
.two>div{min-width:0}
figure{margin:12px 0 18px;min-width:0}
figure>h3{margin-bottom:6px;color:var(--ink);font-size:14px}
figcaption{font-size:13px;margin-top:5px}
svg{display:block;width:100%;height:auto;overflow:visible}
.pic{position:relative}
.wide>.pic{overflow-x:auto;overflow-y:hidden}
.wide>.pic>svg{min-width:860px}
.free>.pic>svg{min-width:0;max-width:860px}
.curves{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,300px),1fr));gap:14px 20px}
.heats{display:grid;grid-template-columns:repeat(auto-fill,minmax(230px,1fr));gap:14px 22px}
.heats svg{max-width:330px}
.scroll{overflow-x:auto;margin:8px 0 16px}
table{border-collapse:collapse;font-size:13px;min-width:100%}
th,td{text-align:right;padding:4px 9px;border-bottom:1px solid var(--line);white-space:nowrap;font-variant-numeric:tabular-nums}
th{font-weight:600;color:var(--mut)}
th:first-child{text-align:left}
tbody th{color:var(--ink);font-weight:400}
td code{white-space:normal;display:inline-block;max-width:300px;text-align:left;font-size:12px}
.key{width:30px;height:10px;display:inline-block;vertical-align:middle}
summary{cursor:pointer;color:var(--acc);margin:6px 0}
.settings{display:grid;grid-template-columns:repeat(auto-fill,minmax(220px,1fr));gap:2px 26px;font-size:13px;margin:8px 0}
.settings div{display:flex;justify-content:space-between;gap:10px;border-bottom:1px solid var(--line);padding:3px 0;break-inside:avoid}
dt{color:var(--mut)}dd{margin:0;overflow-wrap:anywhere;text-align:right}
footer{padding-top:20px;padding-bottom:40px;font-size:13px;color:var(--mut)}
svg text{font-size:11.5px;fill:var(--mut)}
.heats svg text{font-size:10.5px}
svg .te{text-anchor:end}svg .tm{text-anchor:middle}svg .lab{fill:var(--ink);font-weight:600}svg .in{fill:var(--in);font-weight:600;pointer-events:none}
.grid{stroke:var(--line);stroke-width:.7;fill:none}.axis{stroke:var(--def);fill:none}.phase{stroke:var(--def);stroke-dasharray:2 3;fill:none}
.line{fill:none;stroke-width:1.8;stroke:var(--acc);stroke-linejoin:round}
.front{stroke:var(--good);stroke-width:1.5}.roof{stroke:var(--ink)}.def{stroke:var(--def);stroke-dasharray:5 4}.fd{stroke-width:1.5}
.fdm{fill:var(--acc)}.dim{fill:var(--def);fill-opacity:.45}.ds{fill:var(--acc);fill-opacity:.7}
.no{stroke:var(--bad);fill:none;stroke-opacity:.55}
.ep{fill:var(--bg);stroke:var(--acc);stroke-width:1.5}.fr{fill:var(--good);stroke:var(--bg);stroke-width:.8}
.st{fill:var(--org);stroke:var(--ink)}.df{fill:var(--bg);stroke:var(--ink);stroke-width:1.7}
.bc{fill:var(--acc)}.bm{fill:var(--org)}.bf{fill:var(--pur)}
path.bc,path.bm,path.bf{fill-opacity:.8;stroke:var(--bg);stroke-width:.7}
.e0{fill:var(--acc)}.e1{fill:var(--teal)}.e2{fill:var(--org)}.e3{fill:var(--def)}
.map{fill:var(--mut)}.map.pw{fill-opacity:.55}.map.cv{fill-opacity:.75}.map.ot{fill-opacity:.28}
.blk{stroke:var(--bg);stroke-width:1.2}.mac{fill:var(--acc)}.alu{fill:var(--pur)}.mem{fill:var(--teal)}.ctl{fill:var(--def)}
.die{fill:none;stroke:var(--ink);stroke-width:1.3;pointer-events:none}
.heat{fill:var(--acc)}.heat.ok{fill:var(--good)}.cell{fill:transparent;stroke:var(--line);stroke-width:.6}rect.heat+.cell{pointer-events:none}
.hit{fill:transparent}.hit:hover,.on{stroke:var(--ink)!important;stroke-width:1.6!important;stroke-opacity:1}
.s0{stroke:var(--acc);stroke-width:2.6}.s1{stroke:var(--org);stroke-dasharray:7 3}.s2{stroke:var(--good);stroke-dasharray:2 3}.s3{stroke:var(--pur);stroke-dasharray:9 3 2 3}.s4{stroke:var(--bad);stroke-dasharray:4 2}.s5{stroke:var(--teal);stroke-dasharray:12 4}.sx{stroke:var(--def);stroke-width:.9}
path[data-t].s0,path[data-t].s1,path[data-t].s2,path[data-t].s3,path[data-t].s4,path[data-t].s5,path[data-t].sx{stroke-dasharray:none;stroke-width:1.6;fill:var(--bg)}
#tip{position:fixed;z-index:9;left:0;top:0;margin:0;padding:7px 10px;max-width:min(340px,92vw);background:var(--ink);color:var(--bg);border-radius:6px;font-size:12.5px;line-height:1.4;white-space:pre-line;overflow-wrap:anywhere;pointer-events:none;visibility:hidden}
@media(max-width:600px){body>*{padding:0 14px}h1{font-size:21px}.big{font-size:22px}.cards{grid-template-columns:1fr 1fr;gap:9px}.card{padding:9px 10px}.wide>.pic>svg{min-width:760px}.free>.pic>svg{min-width:0}svg text:not(.in){font-size:13px}.wide:not(.free) svg text:not(.in),.curves svg text:not(.in),.heats svg text:not(.in){font-size:11px}}
@media print{:root,:root[data-theme=dark]{--bg:#fff;--card:#fff;--ink:#000;--mut:#444;--line:#bbb;--acc:#1d5fb8;--def:#6b7682;--good:#16724a;--bad:#ad3b1c;--org:#b85a06;--pur:#7442a8;--teal:#0d7377;--in:#fff}button,nav,#tip,.files{display:none}body{font-size:11px}figure,.card,tr{break-inside:avoid}h2{break-after:avoid}.wide>.pic{overflow:visible}.wide>.pic>svg{min-width:0}*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
)css";

const char kReportScript[] = R"js(
(function(){
var d=document,root=d.documentElement,tip=d.getElementById("tip"),key="rhnas-theme",on=null;
function store(v){try{if(v){localStorage.setItem(key,v)}return localStorage.getItem(key)}catch(e){return null}}
var saved=store();if(saved){root.dataset.theme=saved}
d.getElementById("theme").onclick=function(){
var dark=root.dataset.theme?root.dataset.theme=="dark":matchMedia("(prefers-color-scheme: dark)").matches;
root.dataset.theme=dark?"light":"dark";store(root.dataset.theme)};
function hide(){if(on){on.classList.remove("on");on=null}tip.style.visibility="hidden"}
function show(m,x,y){
if(on!=m){hide();on=m;m.classList.add("on");tip.textContent=m.dataset.t}
var w=tip.offsetWidth,h=tip.offsetHeight,left=x+14,top=y+14;
if(left+w>innerWidth-6){left=Math.max(6,x-w-14)}
if(top+h>innerHeight-6){top=Math.max(6,y-h-14)}
tip.style.transform="translate("+left+"px,"+top+"px)";tip.style.visibility="visible"}
function middle(m){var r=m.getBoundingClientRect();return[r.left+r.width/2,r.top+r.height/2]}
d.addEventListener("pointermove",function(e){
var t=e.target.closest?e.target.closest("[data-t]"):null;
if(t){return show(t,e.clientX,e.clientY)}
var s=e.target.closest?e.target.closest("svg"):null;
if(!s){return hide()}
var near=null,best=324;
s.querySelectorAll("path[data-t]").forEach(function(m){var c=middle(m),a=c[0]-e.clientX,b=c[1]-e.clientY,q=a*a+b*b;if(best>q){best=q;near=m}});
if(near){show(near,e.clientX,e.clientY)}else{hide()}});
d.addEventListener("pointerdown",function(e){if(!(e.target.closest?e.target.closest("svg"):null)){hide()}});
d.addEventListener("scroll",hide,true);
d.addEventListener("keydown",function(e){
var s=d.activeElement,step=e.key=="ArrowRight"?1:e.key=="ArrowLeft"?-1:0;
if(e.key=="Escape"){return hide()}
if(!step||!s||s.tagName.toLowerCase()!="svg"){return}
var all=Array.from(s.querySelectorAll("[data-t]"));if(!all.length){return}
e.preventDefault();
var at=all.indexOf(on),c;at=at==-1?(step==1?0:all.length-1):(at+step+all.length)%all.length;
c=middle(all[at]);show(all[at],c[0],c[1])});
d.addEventListener("focusout",hide);
})();
)js";

}  // namespace rhnas::search
