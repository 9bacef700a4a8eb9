import { defineConfig } from 'vitest/config';

const report = process.env['SHIPLOG_TEST_REPORT'];

export default defineConfig({
  test: {
    include: ['test/peers/**/*.test.ts'],
    pool: 'forks',
    // The programs of two files are enough for a small machine: much of the time one waits for its own.
    maxWorkers: 2,
    testTimeout: 180_000,
    hookTimeout: 300_000,
    allowOnly: false,
    reporters: report === undefined ? ['verbose'] : ['verbose', ['json', { outputFile: report }]],
  },
});
