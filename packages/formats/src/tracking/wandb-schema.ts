import { many, Message, one } from '../protobuf/message.ts'

/** What is used of wandb_internal.proto of Weights & Biases. */
const Item = new Message('Item', { key: one(1, 'string'), nestedKey: many(2, 'string'), valueJson: one(16, 'string') })
const Timestamp = new Message('Timestamp', { seconds: one(1, 'int64'), nanos: one(2, 'int32') })

export const WandbRecord = new Message('Record', {
  num: one(1, 'int64'),
  history: one(
    2,
    new Message('HistoryRecord', { item: many(1, Item), step: one(2, new Message('HistoryStep', { num: one(1, 'int64') })) }),
  ),
  summary: one(3, new Message('SummaryRecord', { update: many(1, Item) })),
  config: one(5, new Message('ConfigRecord', { update: many(1, Item) })),
  files: one(6, new Message('FilesRecord', { files: many(1, new Message('FilesItem', { path: one(1, 'string') })) })),
  run: one(
    17,
    new Message('RunRecord', {
      runId: one(1, 'string'),
      entity: one(2, 'string'),
      project: one(3, 'string'),
      config: one(4, new Message('ConfigRecord', { update: many(1, Item) })),
      displayName: one(8, 'string'),
      tags: many(10, 'string'),
      host: one(13, 'string'),
      startTime: one(17, Timestamp),
    }),
  ),
  exit: one(18, new Message('RunExitRecord', { exitCode: one(1, 'int32'), runtime: one(2, 'int32') })),
  header: one(
    21,
    new Message('HeaderRecord', {
      versionInfo: one(1, new Message('VersionInfo', { producer: one(1, 'string'), minConsumer: one(2, 'string') })),
    }),
  ),
})
