/* Client secrets from the provider, over kept TLS connections. */
import { readFileSync } from 'node:fs';
import https from 'node:https';

import { Refusal } from './refusal.mjs';

const CONNECTIONS_MAX = 32;
const TTL_S = 60;
const SESSION_MAX_S = 600;
const session = { type: 'realtime', model: 'gpt-realtime-2.1-mini', output_modalities: ['audio'],
  audio: { input: { transcription: { model: 'gpt-transcribe' }, turn_detection: null },
    output: { voice: 'marin' } } };
const body = JSON.stringify({ expires_after: { anchor: 'created_at', seconds: TTL_S }, session });

const text = async (stream) => {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
};

export function openSecrets(base, caFile, key) {
  if (base === undefined) return { mint: () => { throw new Refusal(503, 'misconfigured'); } };
  const options = { method: 'POST', ca: readFileSync(caFile),
    agent: new https.Agent({ keepAlive: true, maxSockets: CONNECTIONS_MAX }) };

  const post = (safetyId) => new Promise((resolve, reject) => {
    const headers = { Authorization: `Bearer ${key}`, 'Content-Type': 'application/json',
      'Content-Length': Buffer.byteLength(body), 'OpenAI-Safety-Identifier': safetyId };
    https.request(`${base}/realtime/client_secrets`, { ...options, headers }, resolve)
      .on('error', reject).end(body);
  });

  const mint = async (safetyId) => {
    const response = await post(safetyId);
    const answer = JSON.parse(await text(response));
    if (response.statusCode !== 200 || typeof answer.value !== 'string') {
      throw new Refusal(502, 'upstream_error');
    }
    return { client_secret: answer.value, expires_at: answer.expires_at,
      session: { id: answer.session.id, model: answer.session.model },
      url: `${base}/realtime/calls`, maxSessionSeconds: SESSION_MAX_S,
      serverTime: new Date().toISOString() };
  };
  return { mint };
}
