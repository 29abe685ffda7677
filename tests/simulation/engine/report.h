// Report: what one simulated day was like, in numbers, and what rule it broke, if any.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace sextant::simulation {

// Each class of fault, counted where it strikes. Names are in report.cc.
enum class Fault {
  kMessageLost,
  kMessageDuplicated,
  kMessageDamaged,
  kStreamReset,
  kPartition,
  kNodeKilled,
  kPowerLost,
  kNodePaused,
  kWriterKilled,
  kWriterKilledInRecovery,
  kWriterPaused,
  kRivalStarted,
  kWriteFailed,
  kSyncFailed,
  kDiskFull,
  kDiskLimping,
  kWriteTorn,
  kLogSuffixLost,
  kLogMiddleLost,
  kBitFlipped,
  kWriteMisdirected,
  kPageDamaged,
  kPageWriteLost,
  kDiskLost,
  kReaderKilled,
  kReaderPaused,
  kReaderPromoted,
  kCount
};

// Situations that a simulator which never met them could say nothing about.
enum class Rare {
  kRecordOnOneOfReadQuorum,
  kTailWrittenBack,
  kRecordsAnnulled,
  kPartOfMtrAnnulled,
  kLateWriteRefused,
  kLateRecordAnnulled,
  kKilledInDiscovery,
  kKilledInFence,
  kKilledInReadTail,
  kKilledInWriteBack,
  kKilledInTruncation,
  kSameEpochClaimedTwice,
  kUnfinishedTruncationFound,
  kFencedWriterWoke,
  kUnknownCommitSurvived,
  kUnknownCommitAnnulled,
  kDamageFoundAtStart,
  kDamageHealed,
  kRecoveryMetDamage,
  kLossReported,
  kGossipFilledHole,
  kMemberBehind,
  kRaiseRefusedForRoom,
  kCommitWithZoneDown,
  kReadBelowQuorum,
  kReadWithoutLog,
  kOldReadPointServed,
  kFoundingInterrupted,
  kSucceededWriterAsked,
  kProofRefusedFenced,
  kProofTooLate,
  kLogCollected,
  kKilledBeforeLogDrop,
  kKilledAfterLogDrop,
  kCollectMetDamage,
  kReadOvertaken,
  kReadMetDamagedBase,
  kLogAskedForIsCollected,
  kRebuildBegun,
  kRebuildFinished,
  kLostPageWriteFound,
  kDamageFoundAtWork,
  kPageRepairedFromLog,
  kPageRepairedFromPeer,
  kReaderJumped,
  kReaderChangedWriter,
  kReaderLeftOldWriter,
  kReaderReadOldPoint,
  kRedoApplied,
  kPageInvalidated,
  kCacheAnswered,
  kCommitDuringChange,
  kTwoChangesInEffect,
  kChangeFinished,
  kChangeUndone,
  kUndoneWhileHydrating,
  kRecoveryMetChange,
  kWriterDiedInChange,
  kSegmentDropped,
  kLostMemberReplaced,
  kCandidateLost,
  kVolumeGrew,
  kWaitedForGrowth,
  kVolumeFull,
  kCommitInAddedGroup,
  kWriterDiedGrowing,
  kGrowthTakenOver,
  kTooFewForDrill,
  kDurableOnTwoOnly,
  kCount
};

inline constexpr size_t kFaults = static_cast<size_t>(Fault::kCount);
inline constexpr size_t kRares = static_cast<size_t>(Rare::kCount);
std::string_view Name(Fault fault);
std::string_view Name(Rare rare);

// All numbers of it, and nothing else: workers send them as they lie in memory.
struct ReportNumbers {
  std::array<uint64_t, kFaults> faults{};
  std::array<uint64_t, kRares> rares{};
  uint64_t seeds = 0;
  uint64_t events = 0;
  int64_t simulated_nanos = 0;
  uint64_t commits_acked = 0;
  uint64_t commits_unknown = 0;
  uint64_t reads = 0;
  uint64_t proven_reads = 0;
  uint64_t recoveries = 0;
  uint64_t beyond_budget = 0;  // seeds whose faults may end in "unavailable" or "reported loss"
  uint64_t trace_hash = 0;     // of one seed; the sum over several
};

struct Report : ReportNumbers {
  std::string violation;  // the first; empty: none

  void Add(const Report& other);
};

// One line per group: the summary that a run ends with.
std::string Summary(const Report& report);
// The situations that were never met, comma-separated.
std::string NeverMet(const Report& report);

}  // namespace sextant::simulation
