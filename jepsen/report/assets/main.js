// SPDX-License-Identifier: Apache-2.0
// main.js: starts all that.

function startTheme() {
  const button = byId('theme');
  const root = document.documentElement;
  const dark = () => root.dataset.theme
    ? root.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
  const name = () => { button.textContent = dark() ? 'Light' : 'Dark'; };
  button.hidden = false;
  button.addEventListener('click', () => {
    root.dataset.theme = dark() ? 'light' : 'dark';
    name();
    draw();
  });
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', name);
  name();
}

// failed says so on the page: a browser may be too old for what it needs.
function failed(error) {
  const said = document.createElement('p');
  said.className = 'error';
  said.textContent = 'The pictures can not be drawn: ' + error;
  byId('time').append(said);
  throw error;
}

async function start() {
  startTheme();
  startView();
  startOrders();
  levels = await unpackLevels();
  perNode = new Uint32Array(await unpack('nodes'));
  byId('charts').hidden = false;
  byId('lanes').style.height = laneHeight(faultKinds.length);
  byId('nodes').style.height = laneHeight(data.nodes.length);
  new Chart('latency', paintLatency, tellLatency);
  new Chart('throughput', paintThroughput, tellLatency);
  new Chart('lanes', paintLanes, tellLanes);
  new Chart('nodes', paintNodes, tellNodes);
  draw();
  await startKeys();
  points = await unpackPoints();
  draw();
  requestAnimationFrame(() => requestAnimationFrame(() => { document.body.dataset.ready = 'yes'; }));
}

start().catch(failed);
