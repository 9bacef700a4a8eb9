/** What a worker runs (supervisor.ts). */
import { ConfigError, loadConfig } from '../config.ts';
import { openLog } from '../log.ts';
import { type Service, startService } from '../service.ts';
import { StartError } from '../start-error.ts';
import { SupervisedColleagues } from './colleagues.ts';
import type { FromWorker, ToWorker, WorkerOrders } from './messages.ts';
import { withSockets } from './sockets.ts';

const tell = (message: FromWorker): void => void process.send?.(message);
const ordered = Promise.withResolvers<WorkerOrders>();
const told = Promise.withResolvers<void>();
let colleagues: SupervisedColleagues | undefined;
let service: Service | undefined;

process.on('message', (message: ToWorker) => {
  if (message.kind === 'start') ordered.resolve(message.orders);
  else if (message.kind === 'end') told.resolve();
  else if (message.kind === 'answers') colleagues?.hear(message.id, message.answers, message.crew);
  else {
    const { id, question } = message;
    // One that ends has nothing more to say at some point.
    const answer = service?.answer(question).catch(() => undefined);
    void Promise.resolve(answer).then((found) => tell({ kind: 'answer', id, answer: found }));
  }
});
// Ctrl-C goes to all processes of a terminal, and it is the supervisor who tells its workers.
for (const signal of ['SIGINT', 'SIGHUP']) process.on(signal, () => undefined);
process.on('SIGTERM', () => told.resolve());

/** Runs until it is told to end. */
async function work(): Promise<void> {
  const orders = await Promise.race([ordered.promise, told.promise]);
  if (orders === undefined) return;
  const { file, slot, count, sockets } = orders;
  const log = openLog(undefined, count > 1 ? { worker: slot } : {});
  colleagues = new SupervisedColleagues({ slot, count }, tell);
  const config = withSockets(loadConfig({ file, env: process.env }), sockets);
  service = await startService(config, { log, colleagues });
  const { http, syslog, access } = service;
  tell({ kind: 'ready', running: { http, syslog, access } });
  await told.promise;
  await service[Symbol.asyncDispose]();
}

/** For whoever made the configuration, the message says all. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const isPlain = error instanceof StartError || error instanceof ConfigError || 'syscall' in error;
  return isPlain ? error.message : (error.stack ?? error.message);
}

const code = await work().then(
  () => 0,
  async (error: unknown) => {
    const message: FromWorker = { kind: 'failed', message: describe(error) };
    await new Promise((resolve) => process.send?.(message, resolve));
    return 1;
  },
);
// See main.ts: left to itself, it might not end.
process.exit(code);
