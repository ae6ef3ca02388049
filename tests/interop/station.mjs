// A strict station on ocpp-rpc:  node station.mjs URL IDENTITY PASSWORD SUBPROTOCOL…
// Says its part, charges while the CSMS wants it, closes with 1000 and prints what it saw and said.

import { RPCClient } from 'ocpp-rpc';
import { answering, payloads, say, strict, transcript } from './say.mjs';

const [endpoint, identity, password, ...protocols] = process.argv.slice(2);
const client = new RPCClient({
  endpoint, identity, password, protocols, ...strict, reconnect: false, pingIntervalMs: 1000,
  callTimeoutMs: 5000, headers: { 'User-Agent': 'interop-station/1.0 (ocpp-rpc)' },
});
const notes = transcript(client);
const pinged = new Promise((resolve) => client.once('ping', resolve));
const asked = new Map();
const wanted = (action) => {
  if (!asked.has(action)) asked.set(action, deferred());
  return asked.get(action);
};

function deferred() {
  const one = {};
  one.promise = new Promise((resolve) => { one.resolve = resolve; });
  return one;
}

async function talk(part) {
  for (const [action, request] of part) await client.call(action, request);
}

await client.connect();
const { station } = payloads(client.protocol);
answering(client, station.answers, (action) => wanted(action).resolve());
await talk(station.opening);
await wanted('TriggerMessage').promise;
await talk(station.triggered);
await wanted(station.startedBy).promise;
await talk(station.charging);
await wanted(station.stoppedBy).promise;
await talk(station.ending);
await pinged;
await client.close({ code: 1000, reason: 'done for today' });
say({ ...notes, protocol: client.protocol });
