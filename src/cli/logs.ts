import type { Command } from './command.ts';

export const logs: Command = async () => 0;
