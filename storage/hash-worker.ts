import { parentPort } from 'node:worker_threads';
import type { Algorithm } from './digest.ts';
import { type HashedMemory, RunningHash, type SavedHash } from './hash.ts';

/** How a hash begins: as the function of that name in `RunningHash`. */
export type HashBeginning =
  | { readonly start: Algorithm }
  | { readonly movable: Algorithm }
  | { readonly resume: SavedHash };

/** What a thread that hashes is told of one of its hashes. `update` and `save` are answered, in turn. */
export type HashRequest = { readonly hash: number } & (
  | HashBeginning
  | { readonly update: readonly Uint8Array[]; readonly memory: ArrayBuffer | undefined }
  | { readonly save: true }
  | { readonly drop: true }
);

/** Of an `update` its memory, which comes back. */
export type HashAnswer = { readonly saved: SavedHash } | { readonly memory: HashedMemory };

const hashes = new Map<number, RunningHash>();
let turn = Promise.resolve();

parentPort?.on('message', (request: HashRequest) => {
  turn = turn.then(() => handle(request));
});

async function handle(request: HashRequest): Promise<void> {
  const { hash: id } = request;
  if ('update' in request) {
    const memory = hashOf(id).update(request.update, request.memory);
    answer({ memory }, memory && [memory]);
  } else if ('save' in request) {
    answer({ saved: hashOf(id).save() });
  } else if ('drop' in request) {
    hashes.delete(id);
  } else {
    hashes.set(id, await begin(request));
  }
}

function answer(answer: HashAnswer, transferred: readonly ArrayBuffer[] = []): void {
  parentPort?.postMessage(answer, transferred);
}

async function begin(beginning: HashBeginning): Promise<RunningHash> {
  if ('start' in beginning) return RunningHash.start(beginning.start);
  if ('movable' in beginning) return RunningHash.movable(beginning.movable);
  const resumed = await RunningHash.resume(beginning.resume);
  if (resumed === undefined) throw new Error('it was saved without its state');
  return resumed;
}

function hashOf(id: number): RunningHash {
  const hash = hashes.get(id);
  if (hash === undefined) throw new Error(`there is no hash ${id}`);
  return hash;
}
