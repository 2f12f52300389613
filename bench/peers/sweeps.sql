-- Gaps and islands: attempts in a row at a knob have one difference of their two numberings.
WITH attempt AS (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY campaign ORDER BY seq) AS place
  FROM experiment t
  WHERE outcome <> 'interrupted'
    --campaign: AND t.campaign = :campaign
),
made AS (
  SELECT a.campaign, knob, id, name, a.seq, new, t.outcome, t.delta,
    place - DENSE_RANK() OVER (PARTITION BY a.campaign, knob ORDER BY place) AS island
  FROM attempt a JOIN trial t ON t.experiment = id
  WHERE knob <> 'other.seed'
),
ranked AS (
  SELECT *, FIRST_VALUE(name) OVER (
      PARTITION BY campaign, knob, island ORDER BY delta IS NULL, delta, seq) AS best
  FROM made
  ORDER BY campaign, knob, island, seq
)
SELECT knob, COUNT(DISTINCT id) AS n, MIN(seq) AS since, MAX(seq), group_concat(new, ' '),
  SUM(outcome = 'improved'), MIN(delta), group_concat(name, ' '), best, campaign
FROM ranked
GROUP BY campaign, knob, island
HAVING n >= 3
ORDER BY campaign, since, knob
LIMIT 100
