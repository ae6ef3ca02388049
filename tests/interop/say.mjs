// What both node peers share: they speak to the test in lines of JSON.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createValidator } from 'ocpp-rpc';

// ocpp-rpc 2.2.1 looks its schemas up by urn:Action.req and urn:Action.conf, but names those of 2.1 otherwise, so that
// its strict mode refuses everything there. Its own schemas, under the names it looks for:
const schemas21 = createRequire(import.meta.url)('ocpp-rpc/lib/schemas/ocpp2_1.json').map((schema) => ({
  ...schema, $id: schema.$id.replace(/Request$/, '.req').replace(/Response$/, '.conf'),
}));

export const strict = {
  strictMode: true,
  strictModeValidators: [createValidator('ocpp2.1', schemas21)],
};

export const say = (line) => process.stdout.write(JSON.stringify(line) + '\n');

/** Notes every frame of an ocpp-rpc client, as sent and as received, and every complaint of its strict mode. */
export function transcript(client) {
  const notes = { sent: [], received: [], failures: [], close: null };
  client.on('message', ({ message, outbound }) => (outbound ? notes.sent : notes.received).push(message.toString()));
  client.on('strictValidationFailure', ({ error, method, messageId }) =>
    notes.failures.push(`strict: ${method} ${messageId}: ${error.message} ${JSON.stringify(error.details)}`));
  client.on('badMessage', ({ error }) => notes.failures.push(`bad message: ${error.message}`));
  client.on('callError', ({ error, method }) => notes.failures.push(`call error: ${method}: ${error.message}`));
  client.on('close', (close) => { notes.close = close; });
  return notes;
}

/** The payloads for a subprotocol, e.g. ocpp2.0.1. */
export function payloads(subprotocol) {
  const all = JSON.parse(readFileSync(new URL('./payloads.json', import.meta.url), 'utf8'));
  return all[subprotocol === 'ocpp1.6' ? '1.6' : '2'];
}

/**
 * Makes every answer the one that `answers` holds for its action; `after` is told once it is on its way.
 * A TransactionEvent without an idToken gets no idTokenInfo.
 */
export function answering(client, answers, after = () => {}) {
  for (const [action, answer] of Object.entries(answers)) {
    client.handle(action, ({ params }) => {
      setImmediate(after, action);
      return 'idTokenInfo' in answer && !('idToken' in params) ? {} : answer;
    });
  }
}
