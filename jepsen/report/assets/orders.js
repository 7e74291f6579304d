// SPDX-License-Identifier: Apache-2.0
// orders.js: pages of porcupine, each in a frame that can do nothing but draw.

function startOrders() {
  if (!(data.orders || []).length) return;
  const pages = new Map(); // unpacked, by number
  byId('order-show').addEventListener('click', async () => {
    const i = byId('order-choice').value;
    if (!pages.has(i)) pages.set(i, new TextDecoder().decode(await unpack('order-' + i)));
    const frame = document.createElement('iframe');
    frame.setAttribute('sandbox', 'allow-scripts');
    frame.title = 'Order of the operations of lock ' + data.orders[i];
    frame.srcdoc = pages.get(i);
    byId('order-frame').replaceChildren(frame);
  });
  byId('order-view').hidden = false;
}
