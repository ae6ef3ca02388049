// A strict CSMS on ocpp-rpc for one station:  node csms.mjs PASSWORD
// Prints {"port"}, then, when the station has gone, what it saw and said.

import { RPCServer } from 'ocpp-rpc';
import { answering, payloads, say, strict, transcript } from './say.mjs';

const [password] = process.argv.slice(2);
const server = new RPCServer({
  protocols: ['ocpp1.6', 'ocpp2.0.1', 'ocpp2.1'],
  ...strict,
  pingIntervalMs: 1000,
  callTimeoutMs: 5000,
});

server.auth((accept, reject, { password: given, identity, endpoint, protocols, headers }) => {
  if (given?.toString() !== password) {
    reject(401, 'wrong password');
    return;
  }
  accept({ identity, endpoint, protocols: [...protocols], agent: headers['user-agent'] });
});

server.on('client', (client) => {
  const { csms } = payloads(client.protocol);
  const notes = transcript(client);
  const heard = [];
  const talk = async (part) => {
    for (const [action, request] of csms[part]) await client.call(action, request);
  };
  answering(client, csms.answers, (action) => {
    heard.push(action);
    const part = csms.after[action];
    if (part && heard.filter((one) => one === action).length === 1) {
      talk(part).catch((error) => notes.failures.push(`${part}: ${error.message}`));
    }
  });
  client.on('close', async () => {
    say({ ...notes, protocol: client.protocol, session: client.session });
    await server.close();
    process.exit(0);
  });
});

const http = await server.listen(0, '127.0.0.1');
say({ port: http.address().port });
