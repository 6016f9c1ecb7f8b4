/* A peer: POST calls/start and realtime/token as Express would serve them, in a cluster of
 * BENCH_WORKERS processes on one Unix socket, BENCH_SOCKET. */
import cluster from 'node:cluster';
import { createHash, randomBytes } from 'node:crypto';
import { openSync, rmSync, writeSync } from 'node:fs';

import express from 'express';

import { openCalls } from './calls.mjs';
import { Refusal } from './refusal.mjs';
import { openSecrets } from './secrets.mjs';
import { subjectOf } from './token.mjs';

const settings = process.env;

const traced = (request, response, next) => {
  response.locals.startedNs = process.hrtime.bigint();
  response.locals.traceId = randomBytes(16).toString('hex');
  next();
};

const authenticated = (calls) => (request, response, next) => {
  const user = subjectOf(request.get('authorization'), settings.BENCH_SECRET);
  if (!calls.knows(user)) throw new Refusal(403, 'forbidden');
  response.locals.user = user;
  next();
};

/* Express writes the answer first; the log line is due after it, as with the others. */
const answerer = (log) => (response, status, members) => {
  const { startedNs, traceId } = response.locals;
  response.status(status).json({ success: status < 300, ...members, traceId });
  writeSync(log, JSON.stringify({ ts: new Date().toISOString(), level: 'info', event: 'request',
    endpoint: response.req.path.slice(1), traceId, method: response.req.method, status,
    durationUs: Number((process.hrtime.bigint() - startedNs) / 1000n) }) + '\n');
};

const callInput = ({ threadId, kind, ...rest } = {}) => {
  const sound = typeof threadId === 'string' && /^[A-Za-z0-9_-]{1,64}$/.test(threadId)
    && (kind === 'audio' || kind === 'video') && Object.keys(rest).length === 0;
  if (!sound) throw new Refusal(400, 'validation_failed');
  return { threadId, kind };
};

function serve() {
  const answer = answerer(openSync(settings.BENCH_LOG, 'a'));
  const calls = openCalls(settings.BENCH_DB);
  const secrets = openSecrets(settings.BENCH_UPSTREAM, settings.BENCH_UPSTREAM_CA,
    settings.BENCH_UPSTREAM_KEY);
  const user = authenticated(calls);
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.use(traced);
  app.post('/calls/start', user, express.json({ limit: '64kb' }), (request, response) => {
    const { call, created } = calls.start(callInput(request.body), response.locals.user);
    answer(response, created ? 201 : 200, { call, created });
  });
  app.post('/realtime/token', user, express.json({ limit: '64kb' }), async (request, response) => {
    const safetyId = createHash('sha256').update(response.locals.user).digest('hex');
    answer(response, 200, await secrets.mint(safetyId));
  });
  app.use((error, request, response, next) => {
    if (response.headersSent) return next(error);
    const known = error instanceof Refusal || error.expose;
    if (!known) console.error(error);
    const code = known ? error.code ?? 'validation_failed' : 'unavailable';
    answer(response, known ? error.status : 503, { error: { code, message: code } });
  });
  const server = app.listen(settings.BENCH_SOCKET);
  server.keepAliveTimeout = 0;
  process.on('SIGINT', () => process.exit(0));
}

function lead() {
  rmSync(settings.BENCH_SOCKET, { force: true });
  for (let i = 0; i < Number(settings.BENCH_WORKERS); i++) cluster.fork();
  cluster.on('exit', () => process.exit(0));
  process.on('SIGINT', () => process.exit(0));
}

if (cluster.isPrimary) lead();
else serve();
