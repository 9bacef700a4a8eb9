import type { Bench } from '../frame/bench.ts';
import { atLeast, largeLayer, manyLayers, pulling } from './work.ts';

const registry = { front: 'nginx' } as const;

/** Pulls through nginx, which sends shiplog's files itself. Its peers have no such feature: what they send goes through it. */
export const nginxBenches: readonly Bench[] = [
  pulling(
    { name: 'nginx-pull-1m', title: 'nginx (peers: no X-Accel): 1 MiB layers pulled, 8 at once', registry, goals: [] },
    manyLayers,
  ),
  pulling(
    { name: 'nginx-pull-512m', title: 'nginx (peers: no X-Accel): 512 MiB pulled', registry, goals: atLeast(1.5) },
    largeLayer,
  ),
];
