// SPDX-License-Identifier: Apache-2.0

// A session with a dyno node by the MessagePack-RPC transport of the npm package
// neovim. Usage: node session.js HOST PORT. Prints "ok" or the first fault.

'use strict';

const net = require('node:net');
const { Transport } = require('neovim/lib/utils/transport');

const [host, port] = process.argv.slice(2);
const socket = net.connect(Number(port), host);
const rpc = new Transport();
rpc.attach(socket, socket, undefined);

function call(method, params) {
  return new Promise((resolve, reject) => {
    rpc.request(method, params, (err, result) => (err ? reject(new Error(err)) : resolve(result)));
  });
}

function check(ok, what) {
  if (!ok) throw new Error(what);
}

async function session() {
  const hello = await call('hello', [{ client: 'neovim', version: '5', proto: [1] }]);
  check(hello.proto === 1 && hello.cluster.length === 32, 'hello: ' + JSON.stringify(hello));

  const put = await call('kv.put', [{ key: 'js', value: Buffer.from('from javascript') }]);
  check(put.sibling_count === 1 && put.context.length > 0, 'put');

  const got = await call('kv.get', [{ key: 'js' }]);
  check(got.found === true && got.siblings.length === 1, 'get');
  check(Buffer.from(got.siblings[0].value).toString() === 'from javascript', 'value');

  await call('kv.put', [{ key: 'js', value: 'second', context: got.context }]);
  const again = await call('kv.get', [{ key: 'js' }]);
  check(again.siblings.length === 1, 'a put with its context overwrites');

  let refused = '';
  await call('kv.get', [{ key: 'js', no_such_option: 1 }]).catch((e) => (refused = e.message));
  check(refused.startsWith('INVALID: ') && refused.includes('no_such_option'), 'error: ' + refused);

  const opened = await call('session.open', [{ name: 'neovim', ttl_ms: 5000 }]);
  const attempt = { session: opened.session, holder: 1, name: 'lock of javascript' };
  const held = await call('lock.acquire', [attempt]);
  check(held.fence > 0, 'lock: ' + JSON.stringify(held));
  await call('session.keepalive', [{ session: opened.session }]);
  const freed = await call('lock.release', [{ ...attempt, fence: held.fence }]);
  check(freed.released === true, 'release');
  await call('session.close', [{ session: opened.session }]);

  const many = [];
  for (let i = 0; i < 100; i++) many.push(call('kv.get', [{ key: 'js' }]));
  for (const one of await Promise.all(many)) check(one.found, '100 in flight');
}

const limit = setTimeout(() => { console.log('took longer than 20 s'); process.exit(1); }, 20000);
session().then(
  () => { clearTimeout(limit); console.log('ok'); process.exit(0); },
  (e) => { console.log(e.message); process.exit(1); },
);
