// Strict peers that talk as fast as they can:
//   node load.mjs station URL IDENTITY COUNT      node load.mjs csms COUNT
// Each makes COUNT Calls that name themselves, one after the other, and answers what it is asked with the words it was
// asked with. Message ids come from a small circle, the same for everybody, so that they collide all the time.
// Prints {"port"} (csms), then, when the connection has ended, what it heard, in order, and what was wrong.

import crypto from 'node:crypto';

const IDS = 300;
let id = 0;
crypto.randomUUID = () => String((id++ % IDS) + 1);

const { RPCClient, RPCServer } = await import('ocpp-rpc');
const { say, strict } = await import('./say.mjs');
const [role, ...rest] = process.argv.slice(2);

function listen(client, notes) {
  client.on('strictValidationFailure', ({ error }) => notes.failures.push(`strict: ${error.message}`));
  client.on('badMessage', ({ error }) => notes.failures.push(`bad message: ${error.message}`));
  client.handle('DataTransfer', ({ params }) => {
    notes.heard.push(params.data);
    return { status: 'Accepted', data: params.data };
  });
}

async function talk(client, notes, name, count) {
  for (let number = 0; number < count; number += 1) {
    const data = `${name} ${number}`;
    const answer = await client.call('DataTransfer', { vendorId: 'load', data });
    if (answer.data !== data) notes.failures.push(`${data} was answered ${answer.data}`);
    notes.answered += 1;
  }
}

const fresh = () => ({ heard: [], answered: 0, failures: [] });
const settings = { ...strict, callTimeoutMs: 30000, pingIntervalMs: 1000 };

if (role === 'station') {
  const [endpoint, identity, count] = rest;
  const client = new RPCClient({ endpoint, identity, protocols: ['ocpp1.6'], ...settings, reconnect: false });
  const notes = fresh();
  listen(client, notes);
  client.on('close', () => { process.stdout.write(JSON.stringify(notes) + '\n', () => process.exit(0)); });
  await client.connect();
  talk(client, notes, 'station', Number(count)).then(() => say({ done: true }), (error) => {
    notes.failures.push(`call: ${error.message}`);
    say({ done: false });
  });
} else {
  const [count] = rest;
  const server = new RPCServer({ protocols: ['ocpp1.6'], ...settings });
  server.auth((accept) => accept());
  server.on('client', (client) => {
    const notes = fresh();
    listen(client, notes);
    client.on('close', () => { process.stdout.write(JSON.stringify(notes) + '\n', () => process.exit(0)); });
    talk(client, notes, 'csms', Number(count)).then(() => say({ done: true }), (error) => {
      notes.failures.push(`call: ${error.message}`);
      say({ done: false });
    });
  });
  const http = await server.listen(0, '127.0.0.1');
  say({ port: http.address().port });
}
