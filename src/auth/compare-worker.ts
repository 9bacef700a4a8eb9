import { compareSync } from 'bcryptjs';
import { parentPort } from 'node:worker_threads';

// bcrypt would hold up the main thread for some 60 ms at cost 10.
parentPort?.on('message', ({ password, hash }: { password: string; hash: string }) => {
  parentPort?.postMessage({ equal: compareSync(password, hash) }, []);
});
